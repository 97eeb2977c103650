package train

import (
	"math"
	"strings"
	"testing"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/data/text"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
)

func TestBytesText(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0.0 kB", 1234: "1.2 kB", 99_940: "99.9 kB", 230_280: "230 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		7.2e6: "7.2 MB", 2.53e10: "25.3 GB", 2.75e13: "27.5 TB", 1.344e15: "1344 TB", 1.2096e22: "1.2e+10 TB",
	} {
		if got := machine.Bytes(n); got != want {
			t.Errorf("bytesText(%g) = %q, want %q", n, got, want)
		}
	}
}

// planOf is the plan of a model of 256 tokens.
func planOf(cfg recipe.Config) (MemoryPlan, error) {
	dims := cfg.Dims(256)
	if err := recipe.Plausible(cfg, dims, cfg.Data.SeqLen(), machine.Memory()); err != nil {
		return MemoryPlan{}, err
	}
	return planMemory(cfg, dims, dims.Shape(cfg.Train.BatchSize, cfg.Data.SeqLen()), saved.Options{})
}

// TestPlanMemory: the plan follows from the shapes; what is frozen has neither
// gradient nor optimizer state.
func TestPlanMemory(t *testing.T) {
	cfg := smallConfig(t)
	plan, err := planOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const d, ff, vocab = 16, 24, 256
	weights := 4 * (2*vocab*d + 4*d*d + 3*d*ff + 3*d)
	if plan.Weights != weights || plan.Gradients != weights || plan.Optimizer != 2*weights {
		t.Errorf("plan %+v, want %d bytes of weights and gradients and twice that for the optimizer", plan, weights)
	}
	if plan.Activations <= 0 || plan.Total() != plan.Weights+plan.Gradients+plan.Optimizer+plan.Activations {
		t.Errorf("plan %+v, total %d", plan, plan.Total())
	}
	cfg.Train.Freeze = []recipe.Freeze{{Match: "lm_head.*"}}
	frozen, err := planOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := weights - 4*vocab*d; frozen.Weights != weights || frozen.Gradients != want || frozen.Optimizer != 2*want {
		t.Errorf("plan with a frozen head %+v, want %d bytes of gradients", frozen, want)
	}
	if table := plan.Table("# "); strings.Count(table, "\n") != 5 || strings.Count(table, "# ") != 5 {
		t.Errorf("table:\n%swant five lines with a prefix each", table)
	}
}

// TestFits: one byte decides.
func TestFits(t *testing.T) {
	m := MemoryPlan{Weights: 1000, Gradients: 1000, Optimizer: 2000, Activations: 500}
	if err := m.fits(4500); err != nil {
		t.Errorf("a plan of 4500 bytes in 4500: %v", err)
	}
	if err := m.fits(4499); err == nil || !strings.Contains(err.Error(), "activations") {
		t.Errorf("a plan of 4500 bytes in 4499: %v, want an error with the plan", err)
	}
}

// length sets how long the sequences of a run are.
func length(c *recipe.Config, n int) {
	configs.Edit(&c.Data.OneOf, func(s *text.Files) { s.SeqLen = n })
}

// TestPlausible: the estimate is below the plan, so that it refuses nothing that
// fits, and it survives numbers whose products overflow.
func TestPlausible(t *testing.T) {
	for name, change := range map[string]func(*recipe.Config){
		"small": func(*recipe.Config) {},
		"wide": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DModel, b.DFF = 512, 0 })
		},
		"large head": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.HeadDim = 64 })
		},
		"learned": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Positions, b.Context = "learned", 4096 })
		},
		"batch": func(c *recipe.Config) { c.Train.BatchSize = 32; length(c, 64) },
		"tied":  func(c *recipe.Config) { configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Tied = true }) },
		"factored": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DModel, b.DFF = 512, 4096 })
			c.Model.Linear = []nn.Rule{{Match: "model.*", OneOf: nn.As(nn.LowRank{Rank: 1})}}
		},
	} {
		cfg := smallConfig(t)
		change(&cfg)
		plan, err := planOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		body := cfg.Model.Of.(decoder.Config)
		graph := float64(body.NLayer) * model.GraphBytes // is not in the plan
		inputs := float64(3 * 8 * cfg.Train.BatchSize * cfg.Data.SeqLen())
		angles := 4 * float64(cfg.Dims(256).Context*body.Attention.Dim(body.DModel))
		if err := recipe.Plausible(cfg, cfg.Dims(256), cfg.Data.SeqLen(), float64(plan.Weights+plan.Activations)+graph+inputs+angles); err != nil {
			t.Errorf("%s: refused where it fits: %v", name, err)
		}
	}
	for name, change := range map[string]func(*recipe.Config){
		"d_model": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DModel = math.MaxInt64 })
		},
		"n_layer": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.NLayer = math.MaxInt64 })
		},
		"d_ff": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DFF = math.MaxInt64 })
		},
		"batch_size": func(c *recipe.Config) { c.Train.BatchSize = math.MaxInt64 },
		"seq_len":    func(c *recipe.Config) { length(c, math.MaxInt64) },
		"context": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Context = math.MaxInt64 })
		},
		"heads": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.NHead, b.Attention.HeadDim = math.MaxInt64, math.MaxInt64 })
		},
		"q_rank": func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) {
				b.Attention.OneOf = attention.As(attention.MFA{Factors: attention.Factors{QRank: math.MaxInt64}})
			})
		},
	} {
		cfg := smallConfig(t)
		change(&cfg)
		if err := recipe.Buildable(cfg, cfg.Dims(256), cfg.Data.SeqLen(), math.Inf(1)); err == nil || !strings.Contains(err.Error(), "this machine has "+machine.Text()) {
			t.Errorf("%s = 2^63-1: %v, want a refusal that says what this machine has", name, err)
		}
		if _, err := planOf(cfg); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s = 2^63-1: %v, want a refusal", name, err)
		}
	}
}
