package interpret

import (
	"slices"

	"sparrow/configs"
	"sparrow/factor"
)

// Sites of a block that features can be of.
const (
	Hidden   = "mlp_hidden" // what the MLP holds inside, after the activation
	Out      = "mlp_out"    // what the MLP writes
	Residual = "residual"   // the residual stream behind the block
)

// Methods by which features are found. The first is the paper's; the others are there to be compared with it.
const (
	SNMF    = "snmf"
	Means   = "diff_means" // mean at a feature's strongest positions less the mean of all
	Neurons = "neurons"    // the neurons that vary most
	PCA     = "pca"        // principal components
	Random  = "random"     // sparse directions drawn by chance
	SAE     = "sae"        // a TopK autoencoder on the same activations
	SAEOut  = "sae_out"    // one on the MLP's output
)

// Methods are all of them.
func Methods() []string { return []string{SNMF, Means, Neurons, PCA, Random, SAE, SAEOut} }

// Config is one TOML file: which features are to be found.
type Config struct {
	Interpret Settings `toml:"interpret"`
}

// Settings is the [interpret] table.
type Settings struct {
	Layers   []int    `toml:"layers" doc:"blocks, from 0 on; none: the middle one"`
	Site     string   `toml:"site" doc:"what is factorized: mlp_hidden (what the MLP holds inside), mlp_out (what it writes) or residual (the stream behind the block)" choices:"mlp_hidden|mlp_out|residual"`
	Text     []string `toml:"text" doc:"files to read, as glob patterns; none: the training text of the model"`
	Tokens   int      `toml:"tokens" doc:"that activations are taken of" unit:"tokens"`
	Window   int      `toml:"window" doc:"tokens that the model reads at once; the first of each is left out" unit:"tokens"`
	Features int      `toml:"features" doc:"of each layer"`
	Sparsity float64  `toml:"sparsity" doc:"share of a feature's entries that are not 0; 1: all may be"`
	Rule     string   `toml:"rule" doc:"how coefficients are updated; coordinates need fewer iterations" choices:"coordinates|multiplicative"`
	Start    string   `toml:"start" doc:"first coefficients" choices:"random|svd|kmeans"`

	Iterations int     `toml:"iterations" doc:"at most"`
	Tolerance  float64 `toml:"tolerance" doc:"relative gain over 30 iterations below which they end"`
	Seed       uint64  `toml:"seed" doc:"of all that is drawn"`
	Baselines  bool    `toml:"baselines" doc:"find as many features by other methods too: diff_means, neurons, pca, random, sae and, of mlp_hidden, sae_out"`
	SAESteps   int     `toml:"sae_steps" doc:"of training an autoencoder, on 256 tokens each"`
}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{Settings{
		Site: Hidden, Tokens: 20000, Window: 128, Features: 100, Sparsity: 0.01, Rule: "coordinates", Start: "random",
		Iterations: 200, Tolerance: 1e-5, Seed: 1, SAESteps: 2000,
	}}
}

// Load reads a config file; "": the default. set are overrides of the form "interpret.features=50".
func Load(file string, set []string) (Config, error) {
	cfg := DefaultConfig()
	if file == "" {
		return cfg, configs.Decode("the default config", nil, &cfg, configs.Options{Set: set})
	}
	return cfg, configs.Load(file, &cfg, configs.Options{Set: set})
}

// Validate reports what no fit can be.
func (s Settings) Validate(r *configs.Report) {
	r.OneOf("site")
	r.OneOf("rule")
	r.OneOf("start")
	for _, l := range s.Layers {
		r.Within("layers", l >= 0, "0 or more")
	}
	r.AtLeast("tokens", 100)
	r.AtLeast("window", 4)
	r.AtLeast("features", 1)
	r.Within("sparsity", s.Sparsity > 0 && s.Sparsity <= 1, "more than 0, at most 1")
	r.AtLeast("iterations", 1)
	r.Within("tolerance", s.Tolerance >= 0 && s.Tolerance < 1, "0 to less than 1")
	r.AtLeast("sae_steps", 1)
}

// The names of package factor's rules and starts, in its order.
var (
	rules  = []string{"coordinates", "multiplicative"}
	starts = []string{"random", "svd", "kmeans"}
)

// factorization is how semi-NMF is asked for vectors of some width.
func (s Settings) factorization(width int) factor.SemiNMFConfig {
	c := factor.SemiNMFConfig{
		Features: s.Features, Keep: s.keep(width), Iterations: s.Iterations, Tolerance: s.Tolerance, Seed: s.Seed,
	}
	c.Rule, c.Start = factor.GRule(slices.Index(rules, s.Rule)), factor.GStart(slices.Index(starts, s.Start))
	return c
}

// keep is how many entries of a feature of some width may be other than 0.
func (s Settings) keep(width int) int {
	n := int(s.Sparsity * float64(width))
	if float64(n) < s.Sparsity*float64(width) {
		n++
	}
	return n
}
