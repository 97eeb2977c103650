package train

import (
	"bytes"
	"context"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/model/decoder"
	"sparrow/model/lama"
	"sparrow/model/vit"
	"sparrow/nn"
	"sparrow/recipe"
)

// losses are the training losses of a run's steps.
func losses(t *testing.T, dir string) (l []float64) {
	t.Helper()
	records, err := metrics.Read(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if loss, ok := r.Value("loss"); ok && r.Kind == metrics.KindTrain {
			l = append(l, loss)
		}
	}
	return l
}

// TestBFloat16 trains networks and kinds of layers with products that read bfloat16: losses stay near those of float32 and are not
// those, and neither threads nor an interruption change a byte.
func TestBFloat16(t *testing.T) {
	linear := func(l nn.Kind) func(*testing.T) recipe.Config {
		return func(t *testing.T) recipe.Config {
			c := smallConfig(t)
			c.Model.Linear = []nn.Rule{{Match: "model.layers.*", OneOf: nn.As(l)}}
			return c
		}
	}
	attending := func(k attention.Kind) func(*testing.T) recipe.Config {
		return func(t *testing.T) recipe.Config {
			c := smallConfig(t)
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.OneOf = attention.As(k) })
			return c
		}
	}
	changed := func(change func(*recipe.Config)) func(*testing.T) recipe.Config {
		return func(t *testing.T) recipe.Config {
			c := smallConfig(t)
			change(&c)
			return c
		}
	}
	for i, tc := range []struct {
		name   string
		config func(*testing.T) recipe.Config
	}{
		{"decoder", smallConfig},
		{"accumulation", changed(func(c *recipe.Config) { c.Train.GradAccum = 3 })},
		{"per-layer updates of adamw8bit", changed(func(c *recipe.Config) {
			c.Train.PerLayerUpdate, c.Train.GradClip, c.Train.Optimizer, c.Train.AdamBlockSize = true, 0, "adamw8bit", 64
		})},
		{"recomputation", changed(func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.CheckpointActivations, b.Tied, b.Dropout = true, true, 0.1 })
		})},
		{"low rank", linear(nn.LowRank{Rank: 4})},
		{"sltrain", linear(nn.SLTrain{Rank: 4, Density: 0.1})},
		{"dense-sparse", linear(nn.DenseSparse{Block: 8, Atoms: 16, Nonzeros: []int{2}, Shared: true})},
		{"mqa", attending(attention.MQA{})},
		{"encoder", func(t *testing.T) recipe.Config { return labelledConfig(t, "a", "b", "c") }},
		{"lama", func(t *testing.T) recipe.Config {
			c := labelledConfig(t, "a", "b", "c")
			c.Model = recipe.ModelOf(lama.DefaultBody())
			return c
		}},
		{"favit", imageConfig},
		{"vit", func(t *testing.T) recipe.Config {
			c := imageConfig(t)
			v := vit.DefaultBody()
			v.Patch, v.DModel, v.NLayer, v.DFF, v.Attention.NHead = 4, 16, 2, 32, 2
			c.Model = recipe.ModelOf(v)
			return c
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if testing.Short() && i%3 != 0 {
				t.Skip("-short takes every third")
			}
			cfg, dir := tc.config(t), t.TempDir()
			cfg.Checkpoint.Every = 2
			run := func(name string) []float64 {
				if _, err := mustTrain(t, cfg, filepath.Join(dir, name), nil); err != nil {
					t.Fatal(err)
				}
				return losses(t, filepath.Join(dir, name))
			}
			full := run("float32")
			bfloat16 := kernel.BFloat16.String()
			cfg.Train.Precision = &bfloat16
			got := run("bfloat16")
			differ := false
			for i, want := range full {
				differ = differ || got[i] != want
				if !(math.Abs(got[i]-want) <= 0.03*math.Abs(want)) {
					t.Errorf("losses %.5f, want near those of float32, %.5f", got, full)
					break
				}
			}
			if !differ {
				t.Errorf("losses %v are those of float32", got)
			}

			threads := kernel.Threads()
			defer kernel.SetThreads(threads)
			kernel.SetThreads(threads%2 + 1)
			run("threads")
			trainUntil(t, cfg, filepath.Join(dir, "resumed"), 3)
			trainer, _, err := Resume(context.Background(), filepath.Join(dir, "resumed"), "", nil, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := trainer.Run(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"model.npz", "optimizer.npz"} {
				want := checkpointFile(t, filepath.Join(dir, "bfloat16"), cfg.Train.Steps, file)
				for _, other := range []string{"threads", "resumed"} {
					if !bytes.Equal(checkpointFile(t, filepath.Join(dir, other), cfg.Train.Steps, file), want) {
						t.Errorf("%s of the run %q differs", file, other)
					}
				}
			}
		})
	}
}

// TestBFloat16IsOfTraining: of equal weights, evaluation gives the same in both precisions.
func TestBFloat16IsOfTraining(t *testing.T) {
	cfg := smallConfig(t)
	bfloat16 := kernel.BFloat16.String()
	cfg.Train.Precision = &bfloat16
	trainer, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	got := scoreOf(t, trainer.session, trainer)
	cfg.Train.Precision = nil
	if trainer, err = New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard); err != nil {
		t.Fatal(err)
	}
	if want := scoreOf(t, trainer.session, trainer); got.Loss() != want.Loss() {
		t.Errorf("the loss of the first weights is %v, and %v without a precision", got.Loss(), want.Loss())
	}
}

// TestBFloat16Said: a run says where its processor has no product of bfloat16, and only there.
func TestBFloat16Said(t *testing.T) {
	cfg := smallConfig(t)
	bfloat16 := kernel.BFloat16.String()
	cfg.Train.Precision = &bfloat16
	var log bytes.Buffer
	if _, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, &log); err != nil {
		t.Fatal(err)
	}
	if said := strings.Contains(log.String(), "bfloat16, which this processor does not multiply"); said == kernel.BFloat16Native() {
		t.Errorf("the processor multiplies bfloat16: %v, and the log is %q", kernel.BFloat16Native(), log.String())
	}
}
