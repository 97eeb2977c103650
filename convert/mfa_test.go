package convert_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/convert"
	"sparrow/data/text"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// parentOf trains a small decoder for some steps and opens it.
func parentOf(t *testing.T, steps int, change func(*recipe.Config)) *saved.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "corpus.txt")
	var lines strings.Builder
	for i := range 600 {
		fmt.Fprintf(&lines, "line %d of %d\n", i, i*i%17)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	c := recipe.Default()
	from := text.DefaultFiles()
	from.Paths, from.SeqLen = []string{path}, 24
	c.Data = recipe.From(from)
	configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 32, 2, 40, 4 })
	c.Train.Steps, c.Train.BatchSize, c.Train.LearningRate = steps, 8, 1e-2
	c.Eval.Every, c.Eval.Tokens = 0, 960
	c.Checkpoint.Every = 0
	change(&c)
	dir := filepath.Join(t.TempDir(), "run")
	trainer, err := train.New(context.Background(), c, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func toMFA(t *testing.T, parent *saved.Model, sizes convert.Sizes) *convert.MFA {
	t.Helper()
	mfa, err := convert.ToMFA(context.Background(), parent, parent.Task, sizes)
	if err != nil {
		t.Fatal(err)
	}
	return mfa
}

// rounding bounds the difference of two losses of about 1 whose networks are equal but for float32 weights.
const rounding = 2e-5

// TestExact: without rotary positions, or with one key for all heads, a conversion with room for everything computes
// what the parent does, with further heads too.
func TestExact(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*recipe.Config)
		sizes  convert.Sizes
	}{
		{"mha, learned", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Positions = "learned" })
		}, convert.Sizes{HeadDim: 32, QRank: 32}},
		{"gqa, learned, layer norm", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) {
				b.Positions, b.Norm, b.Attention.OneOf, b.Attention.NKVHead = "learned", "layer_norm", attention.As(attention.GQA{}), 2
			})
		}, convert.Sizes{HeadDim: 16, QRank: 32}},
		{"wide heads, learned", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Positions, b.Attention.HeadDim = "learned", 12 })
		}, convert.Sizes{HeadDim: 32, QRank: 32, NHead: 6}},
		{"mqa, rotary", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.OneOf = attention.As(attention.MQA{}) })
		}, convert.Sizes{HeadDim: 8, QRank: 32, NHead: 5}},
		{"sltrain, learned", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Positions = "learned" })
			c.Model.Linear = []nn.Rule{{Match: "*.self_attn.*", OneOf: nn.As(nn.SLTrain{Rank: 4, Density: 0.1, Alpha: 8})}}
		}, convert.Sizes{HeadDim: 32, QRank: 32}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mfa := toMFA(t, parentOf(t, 10, tc.change), tc.sizes)
			if diff := math.Abs(mfa.After.Loss() - mfa.Before.Loss()); !(diff <= rounding) {
				t.Errorf("loss %.7f, the parent's is %.7f", mfa.After.Loss(), mfa.Before.Loss())
			}
			for i, k := range mfa.Layers {
				if least := min(k.Keys, k.Queries, k.Values); least < 1-1e-9 || max(k.Keys, k.Queries, k.Values) > 1+1e-9 {
					t.Errorf("layer %d keeps %+v, want all", i, k)
				}
			}
		})
	}
}

// TestApproximate: less width costs loss, and every conversion is a better start than random weights.
func TestApproximate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*recipe.Config)
		dims   []int
	}{
		{"mha, rotary", func(*recipe.Config) {}, []int{2, 8, 32}},
		{"gqa, rotary", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.OneOf, b.Attention.NKVHead = attention.As(attention.GQA{}), 2 })
		}, []int{2, 8, 16}},
		{"mha, learned", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Positions = "learned" })
		}, []int{2, 8, 20}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parent := parentOf(t, 80, tc.change)
			var excess []float64
			for _, c := range tc.dims {
				mfa := toMFA(t, parent, convert.Sizes{HeadDim: c, QRank: min(32, 4*c)})
				excess = append(excess, mfa.After.Loss()-mfa.Before.Loss())
				random := mfa.Network
				s, err := random.NewSession(parent.Dims, nn.NewStore(tensor.Float32), model.Options{Seed: 3})
				if err != nil {
					t.Fatal(err)
				}
				// Only the attention is random, so that the rest cannot be what makes the difference.
				for _, name := range s.Store().Names() {
					if !strings.Contains(name, "self_attn") {
						copy(s.Store().Get(name).Float32s(), mfa.Session.Store().Get(name).Float32s())
					}
				}
				if worse := lossOf(t, parent, s); !(mfa.After.Loss() < worse-0.1) {
					t.Errorf("C = %d: loss %g, with random attention %g", c, mfa.After.Loss(), worse)
				}
			}
			t.Logf("excess %.4f over %.4f", excess, lossOf(t, parent, parent.Session))
			if !(excess[0] > excess[1] && excess[1] > excess[2]-1e-3) || !(excess[2] < 0.5*excess[0]) {
				t.Errorf("widths %v cost %.4f nats, want less and less", tc.dims, excess)
			}
		})
	}
}

func lossOf(t *testing.T, l *saved.Model, s *model.Session) float64 {
	t.Helper()
	score, err := l.Task.Evaluate(context.Background(), s, task.Measure{})
	if err != nil {
		t.Fatal(err)
	}
	return score.Loss()
}

// TestWrite: a written conversion stands alone, knows its parent, and seeds a run. The same conversion again has the
// same bytes.
func TestWrite(t *testing.T) {
	parent := parentOf(t, 10, func(*recipe.Config) {})
	var weights [][]byte
	out := filepath.Join(t.TempDir(), "0")
	for i := range 2 {
		mfa := toMFA(t, parent, convert.Sizes{NHead: 5})
		out = filepath.Join(filepath.Dir(out), fmt.Sprint(i))
		if err := mfa.Write(out); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(out, "model.npz"))
		if err != nil {
			t.Fatal(err)
		}
		weights = append(weights, data)
		l, err := saved.Open(out, false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := lossOf(t, l, l.Session); got != mfa.After.Loss() {
			t.Errorf("the written model's loss is %v, want %v", got, mfa.After.Loss())
		}
		if got := l.Files.Manifest().Parent; got == nil || got.SHA256 != parent.Files.Manifest().SHA256 {
			t.Errorf("parent %+v, want %s", got, parent.Dir)
		}
		a := l.Config.Model.Of.(decoder.Config).Attention
		if a.Of != (attention.MFA{Factors: attention.Factors{QRank: 16}}) || a.NHead != 5 || a.HeadDim != 16 {
			t.Errorf("attention %+v", a)
		}
	}
	if !slices.Equal(weights[0], weights[1]) {
		t.Error("two conversions differ")
	}
	tuned := parent.Config
	tuned.Model, tuned.Train.InitFrom, tuned.Train.Steps = toMFA(t, parent, convert.Sizes{NHead: 5}).Network, out, 2
	var log strings.Builder
	if _, err := train.New(context.Background(), tuned, filepath.Join(t.TempDir(), "tuned"), false, &log); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("starting from %s: %d weights taken\n", out, 1+2*10+2); !strings.Contains(log.String(), want) {
		t.Errorf("log %q, want %q", log.String(), want)
	}
}

func TestRefused(t *testing.T) {
	parent := parentOf(t, 1, func(*recipe.Config) {})
	gqa := parentOf(t, 1, func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.OneOf, b.Attention.NKVHead = attention.As(attention.GQA{}), 2 })
	})
	biased := parentOf(t, 1, func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) {
			b.Attention.Of = attention.MHA{Projections: attention.Projections{Bias: true}}
		})
	})
	mfa := parentOf(t, 1, func(c *recipe.Config) {
		configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Attention.OneOf = attention.As(attention.MFA{}) })
	})
	for _, tc := range []struct {
		name   string
		parent *saved.Model
		sizes  convert.Sizes
		want   string
	}{
		{"mfa", mfa, convert.Sizes{}, `[model.attention] kind = "mfa"; want mha, gqa or mqa`},
		{"bias", biased, convert.Sizes{}, "mfa has no biases"},
		{"few heads", parent, convert.Sizes{NHead: 3}, "3 heads; want at least the parent's 4"},
		{"wide", parent, convert.Sizes{HeadDim: 34}, "heads of width 34; want 1 to 32, the width of all keys of the parent"},
		{"wide for gqa", gqa, convert.Sizes{HeadDim: 18}, "heads of width 18; want 1 to 16"},
		{"odd", parent, convert.Sizes{HeadDim: 5}, "heads of width 5; rotary positions need an even width"},
		{"negative", parent, convert.Sizes{HeadDim: -2}, "heads of width -2; want 1 to 32"},
		{"rank", parent, convert.Sizes{QRank: 33}, "queries of rank 33; want 1 to 32"},
		{"rank of narrow heads", parent, convert.Sizes{HeadDim: 2, QRank: 9}, "queries of rank 9; want 1 to 8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := convert.ToMFA(context.Background(), tc.parent, tc.parent.Task, tc.sizes)
			if !errors.Is(err, task.ErrUsage) && !errors.Is(err, configs.ErrConfig) || !strings.Contains(fmt.Sprint(err), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := convert.ToMFA(ctx, parent, parent.Task, convert.Sizes{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
