package attention

import (
	"slices"
	"strings"

	"sparrow/configs"
)

// PoolingKinds are the ways to turn the states of a document into one vector:
// LAMA, a single head (Yang et al. 2016), structured self-attention (Lin et al.
// 2017) and the plain mean.
var PoolingKinds = []string{"lama", "single", "structured", "mean"}

// PoolingConfig says how the states of a document become one vector: a
// [model.pooling] table. With D the width of a state, M heads of rank R and A the
// width inside structured attention, the parameters are:
//
//	lama        2 D M R + D² + D, and D more for a learned context
//	single      D + D² + D
//	structured  A D + M A
//	mean        none
//
// Time and memory are linear in the number of tokens, whatever the kind.
type PoolingConfig struct {
	Kind string `toml:"kind" doc:"how words become one vector" choices:"lama|single|structured|mean"`

	Heads       int     `toml:"heads" doc:"M, heads, of lama and structured"`
	Rank        int     `toml:"rank" doc:"R of a head's bilinear form, of lama"`
	Context     string  `toml:"context" doc:"what words are scored against, of lama: a learned vector, or the text's own mean (LAMA+ctx)" choices:"learned|annotations|states"`
	Activation  string  `toml:"activation" doc:"activation of a head's score, of lama" choices:"tanh|identity"`
	L2Norm      bool    `toml:"l2_norm" doc:"divide a word's scores by their norm over the heads, of lama"`
	Init        string  `toml:"init" doc:"bound of the first P and Q, of lama: 1/sqrt(D), or 1/sqrt(M R)" choices:"width|heads"`
	Temperature float64 `toml:"temperature" doc:"divides the scores before the softmax, of all but mean"`

	Width   int     `toml:"width" doc:"A, width inside the attention, of structured" unit:"neurons"`
	Penalty float64 `toml:"penalty" doc:"factor of the squared norm of A Aᵀ - I, which keeps heads apart, of structured; 0: none"`
}

// DefaultPoolingConfig is LAMA with ten heads of rank one.
func DefaultPoolingConfig() PoolingConfig {
	return PoolingConfig{Kind: "lama", Heads: 10, Rank: 1, Context: "learned", Activation: "tanh", L2Norm: true, Init: "width", Temperature: 1, Width: 64}
}

// poolingKey is a key that only some kinds read.
type poolingKey struct {
	key   string
	given bool // it has another value than by default
	kinds []string
}

func (c PoolingConfig) keys() []poolingKey {
	plain := DefaultPoolingConfig()
	lama, structured := []string{"lama"}, []string{"structured"}
	return []poolingKey{
		{"heads", c.Heads != plain.Heads, []string{"lama", "structured"}},
		{"rank", c.Rank != plain.Rank, lama},
		{"context", c.Context != plain.Context, lama},
		{"activation", c.Activation != plain.Activation, lama},
		{"l2_norm", c.L2Norm != plain.L2Norm, lama},
		{"init", c.Init != plain.Init, lama},
		{"temperature", c.Temperature != plain.Temperature, []string{"lama", "single", "structured"}},
		{"width", c.Width != plain.Width, structured},
		{"penalty", c.Penalty != plain.Penalty, structured},
	}
}

// Validate reports values that no pooling can have, and keys that the kind does
// not read: whoever sets one expects something of it.
func (c PoolingConfig) Validate(r *configs.Report) {
	oneOf := func(key, v string, known ...string) {
		if !slices.Contains(known, v) {
			r.Errorf(key, "is unknown; want one of %s", strings.Join(known, ", "))
		}
	}
	oneOf("kind", c.Kind, PoolingKinds...)
	oneOf("context", c.Context, "learned", "annotations", "states")
	oneOf("activation", c.Activation, "tanh", "identity")
	oneOf("init", c.Init, "width", "heads")
	atLeastOne := func(key string, v int) {
		if v < 1 {
			r.Errorf(key, "is too small; want at least 1")
		}
	}
	atLeastOne("heads", c.Heads)
	atLeastOne("rank", c.Rank)
	atLeastOne("width", c.Width)
	if !(c.Temperature > 0) {
		r.Errorf("temperature", "is too small; want more than 0")
	}
	if !(c.Penalty >= 0) {
		r.Errorf("penalty", "is negative; want 0 (none) or more")
	}
	for _, k := range c.keys() {
		if k.given && slices.Contains(PoolingKinds, c.Kind) && !slices.Contains(k.kinds, c.Kind) {
			r.Errorf(k.key, "is for kind = \"%s\" only, but kind = %q", strings.Join(k.kinds, `" or "`), c.Kind)
		}
	}
}
