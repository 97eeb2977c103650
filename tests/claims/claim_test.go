package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/lama"
	"sparrow/nn"
	"sparrow/recipe"
)

// parameters counts an arm's trained values from shapes alone.
func parameters(t *testing.T, cfg recipe.Config, vocab int) int {
	t.Helper()
	return virtual(t, cfg, vocab).Parameters()
}

// vocabOf is the vocabulary that a config asks for.
func vocabOf(cfg recipe.Config) int {
	c, _ := cfg.Data.Tokenizer()
	return c.VocabSize
}

// virtual has the names and shapes of an arm's parameters; a classifier of texts
// has two classes, one of images ten.
func virtual(t *testing.T, cfg recipe.Config, vocab int) *nn.Store {
	t.Helper()
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	dims := model.Dims{VocabSize: vocab, Context: cfg.Data.SeqLen()}
	if s, ok := cfg.Data.Labelled(); ok {
		dims.Context, dims.Classes = s.Labelled().MaxLen, 2
	} else if _, ok := cfg.Model.Of.(lama.Body); ok {
		dims.Context, dims.Classes = 256, 2
	}
	if s, ok := cfg.Data.Images(); ok {
		side, _ := s.Shape()
		dims = model.ImageDims(10, cmp.Or(side, 224), imageChannels)
	}
	if ranks(cfg) {
		dims = model.Dims{Catalogue: model.Catalogue{Users: 943, Items: 1682, ItemFields: 2, ItemValues: 30, ItemLength: 6}}
	}
	if _, err := cfg.Model.NewSession(dims, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	return store
}

// Every claim that is shipped decodes, and so do its arms, as they are and for --quick.
func TestShippedClaims(t *testing.T) {
	if testing.Short() {
		t.Skip("its claims run whole")
	}
	claims, err := loadClaims(".", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(claims) < 2 {
		t.Fatalf("found %d claims, want at least 2", len(claims))
	}
	for _, c := range claims {
		t.Run(c.Name, func(t *testing.T) {
			for _, quick := range []bool{false, true} {
				if quick {
					if err := c.shrink(); err != nil {
						t.Fatal(err)
					}
				}
				seen := map[string]string{}
				for i, a := range c.Arms {
					cfg, err := c.Config(i)
					if err != nil {
						t.Fatal(err)
					}
					if quick && c.Sweep == nil && cfg.Train.Steps > 20 {
						t.Errorf("arm %s: --quick makes %d steps, want at most 20", a.Name, cfg.Train.Steps)
					}
					n := parameters(t, cfg, 256)
					if n < 1000 {
						t.Errorf("arm %s: %d parameters", a.Name, n)
					}
					text := a.Measure + "\n" + strings.Join(slices.Concat(append(a.At, a.Set)...), "\n")
					if before, ok := seen[text]; ok {
						t.Errorf("arms %s and %s are the same", before, a.Name)
					}
					seen[text] = a.Name
				}
			}
		})
	}
}

// TestClaimsThatDecide: a claim with a bound on what seeds move has at least five of them, and no claim takes more than its hours; those
// whose stored results have fewer seeds are older than that rule, and so is one that never ran.
func TestClaimsThatDecide(t *testing.T) {
	claims, err := loadClaims(".", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		bounded := slices.ContainsFunc(c.Expect, func(e Expect) bool { return e.bound() != nil && !metrics[e.Of].exact })
		if c.Compress != nil {
			bounded = slices.ContainsFunc(c.Compress.Expect, func(e CompressExpect) bool { return e.bound() != nil })
		}
		d, err := c.storedDocument("../../docs/claims")
		if err != nil {
			t.Fatal(err)
		}
		if older := d != nil && len(d.Seeds) == c.Seeds || c.Name == "sltrain-rank"; bounded && c.Seeds < leastSeeds && !older {
			t.Errorf("%s claims a difference of %d seeds; want %d", c.Name, c.Seeds, leastSeeds)
		}
		if d == nil && c.Hours == 0 && c.Name != "sltrain-rank" {
			t.Errorf("%s has no result and does not say for how many hours it runs", c.Name)
		}
	}
}

func TestSLTrainQualityBudget(t *testing.T) {
	c, err := Load("sltrain-quality.toml")
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for i, a := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		n[a.Name] = parameters(t, cfg, 256)
		if tokens := cfg.Train.Steps * cfg.Train.BatchSize * cfg.Data.SeqLen(); tokens < 5e6 {
			t.Errorf("arm %s reads %d tokens, want at least 5M", a.Name, tokens)
		}
	}
	if full := n["full-rank"]; full < 900_000 || full > 1_100_000 {
		t.Errorf("full rank has %d parameters, want about 1M", full)
	}
	if s, full := n["sltrain-0.03"], n["full-rank"]; float64(s) > 0.75*float64(full) {
		t.Errorf("sltrain-0.03 has %d parameters, full rank %d: want at least 25%% fewer", s, full)
	}
	// S has floor(0.03 out in) entries in each of 5 blocks of 4 128x128 and 3 344x128 matrices.
	if got, want := n["sltrain-0.03"]-n["low-rank"], 5*(4*491+3*1320); got != want {
		t.Errorf("the sparse parts have %d entries, want %d", got, want)
	}
	if n["low-rank"] != n["low-rank-zero"] || n["sltrain-0.1"] <= n["sltrain-0.03"] {
		t.Errorf("parameters %v: want equal low-rank arms, and more with delta = 0.1", n)
	}
}

// Arms have equal parameters within 1%, half and a quarter of MHA's cache.
func TestMFAQualityBudget(t *testing.T) {
	c, err := Load("mfa-quality.toml")
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{"mha": 256, "gqa": 128, "mqa": 128, "mla": 128, "mfa": 128, "mfa-kr": 64}
	if len(c.Arms) != len(elements) {
		t.Fatalf("%d arms, want %d", len(c.Arms), len(elements))
	}
	base := 0
	for i, a := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		n := parameters(t, cfg, 256)
		if i == 0 {
			base = n
		}
		if n < 950_000 || n > 1_150_000 || float64(n) < 0.99*float64(base) || float64(n) > 1.01*float64(base) {
			t.Errorf("arm %s has %d parameters, %s %d; want about 1M, and within 1%%", a.Name, n, c.Arms[0].Name, base)
		}
		body := cfg.Model.Of.(decoder.Config)
		if got := body.Attention.CacheLayout(body.DModel).Elements(); got != elements[a.Name] {
			t.Errorf("arm %s caches %d values a token and layer, want %d", a.Name, got, elements[a.Name])
		}
	}
}

// The memory claim is about the paper's 130M shape.
func TestSLTrainMemoryShape(t *testing.T) {
	c, err := Load("sltrain-memory.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"dense": 134.1e6, "dense-8bit-layer": 134.1e6, "sltrain": 96.5e6, "sltrain-8bit": 96.5e6, "sltrain-8bit-layer": 96.5e6}
	for i, a := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			t.Fatal(err)
		}
		if n := float64(parameters(t, cfg, vocabOf(cfg))); n < want[a.Name]-0.1e6 || n > want[a.Name]+0.1e6 {
			t.Errorf("arm %s has %.1fM parameters, the paper %.1fM", a.Name, n/1e6, want[a.Name]/1e6)
		}
	}
}

// tiny is a claim that trains in a fraction of a second a run.
const tiny = `
title = "t"
statement = "s"
paper = "p"
seeds = 2
learning_rates = [1e-3, 1e-2]
[run.data]
source = "text"
paths = ["TEXT"]
seq_len = 8
[run.model]
d_model = 8
n_layer = 1
[run.model.attention]
n_head = 2
[run.train]
steps = 4
batch_size = 2
[run.eval]
tokens = 64
[quick]
set = ["train.steps=2"]
[[arm]]
name = "full"
[[arm]]
name = "low"
set = ['model.linear=[{match="*.mlp.*", kind="low_rank", rank=2}]']
[[expect]]
measure = "saved"
of = "parameters"
arm = "low"
than = "full"
at_least = 0.05
[[expect]]
measure = "difference"
of = "loss"
arm = "low"
than = "full"
at_most = 9.0
`

// writeTiny writes the claim, after some replacements, and its text.
func writeTiny(t *testing.T, replace ...string) (claim string) {
	t.Helper()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	var b strings.Builder
	for i := range 400 {
		b.WriteString(strings.Repeat("sparrows ", i%5))
		b.WriteString("sing.\n")
	}
	claim = filepath.Join(dir, "tiny.toml")
	source := strings.NewReplacer(append(replace, "TEXT", filepath.ToSlash(text))...).Replace(tiny)
	for path, content := range map[string]string{text: b.String(), claim: source} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return claim
}

func TestBadClaims(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"a key that does not exist", "seeds = 2", "sedes = 2", `unknown key "sedes"; did you mean "seeds"?`},
		{"a key of the run that does not exist", "n_layer = 1", "n_layers = 1", `here it is called [run.model] n_layer`},
		{"a run that cannot be", "n_head = 2", "n_head = 3", "does not divide"},
		{"an arm that cannot be", "rank=2", "rank=0", "[[arm]] set"},
		{"an arm with an unknown key", "rank=2", "rnak=2", `did you mean "rank"?`},
		{"a quick run that cannot be", "train.steps=2", "train.steps=0", "does not apply to [run]"},
		{"two arms of one name", `name = "low"`, `name = "full"`, "is the name of an earlier arm too"},
		{"an arm without a name", `name = "low"`, `name = ""`, "is no name"},
		{"an unknown arm", `arm = "low"`, `arm = "lwo"`, "is none of the arms"},
		{"an unknown measure", `measure = "saved"`, `measure = "save"`, "is unknown; want one of value, gap_closed"},
		{"an unknown metric", `of = "parameters"`, `of = "params"`, "is unknown; want one of loss"},
		{"a gap without its ends", `measure = "saved"`, `measure = "gap_closed"`, "gap_closed wants an arm"},
		{"two bounds", "at_least = 0.05", "at_least = 0.05\nat_most = 0.2", "want one bound"},
		{"a weak bound that is not weaker", "at_least = 0.05", "at_least = 0.05\nweak = 0.2", "is not looser"},
		{"a learning rate of 0", "[1e-3, 1e-2]", "[0.0]", "not above 0"},
		{"no title", `title = "t"`, `title = ""`, "is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeTiny(t, c.old, c.new)
			_, err := Load(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tiny.toml:") {
				t.Errorf("Load: %v\nwant an error with its file and %q", err, c.want)
			}
		})
	}
}

// Tuned alike: every arm gets the same learning rates, one seed and half the
// steps; then its best with every seed and all steps.
func TestJobs(t *testing.T) {
	c, err := Load(writeTiny(t))
	if err != nil {
		t.Fatal(err)
	}
	tuning, err := c.tuningJobs()
	if err != nil {
		t.Fatal(err)
	}
	final, err := c.finalJobs([]float64{1e-2, 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		arm, steps int
		seed       uint64
		rate       float64
	}
	want := []short{
		{0, 2, 1, 1e-3}, {0, 2, 1, 1e-2}, {1, 2, 1, 1e-3}, {1, 2, 1, 1e-2},
		{0, 4, 1, 1e-2}, {0, 4, 2, 1e-2}, {1, 4, 1, 1e-3}, {1, 4, 2, 1e-3},
	}
	jobs := append(tuning, final...)
	if len(jobs) != len(want) {
		t.Fatalf("%d runs, want %d", len(jobs), len(want))
	}
	for i, j := range jobs {
		if got := (short{j.arm, j.cfg.Train.Steps, j.cfg.Seed, j.cfg.Train.LearningRate}); got != want[i] {
			t.Errorf("run %d is %+v, want %+v", i, got, want[i])
		}
	}
}
