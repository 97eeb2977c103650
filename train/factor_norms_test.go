package train

import (
	"context"
	"io"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/configs"
	"sparrow/metrics"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/train/optim"
)

// factoredRun trains smallConfig with every linear layer of its blocks represented as l.
func factoredRun(t *testing.T, l nn.Rule, change func(*recipe.Config)) (*Trainer, []metrics.Record) {
	t.Helper()
	cfg := smallConfig(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.NLayer = 2 })
	l.Match = "model.layers.*"
	cfg.Model.Linear = []nn.Rule{l}
	if change != nil {
		change(&cfg)
	}
	dir := filepath.Join(t.TempDir(), "out")
	trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	records, err := metrics.Read(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return trainer, records
}

func perLayer(c *recipe.Config) { c.Train.PerLayerUpdate, c.Train.GradClip = true, 0 }

// TestFactorNorms: the metrics are there at the first step and at evaluations, for what the model has; and they are the
// norms of the parts and of their gradients.
func TestFactorNorms(t *testing.T) {
	for name, c := range map[string]struct {
		layer  nn.Rule
		change func(*recipe.Config)
		want   []string
	}{
		"sltrain":   {nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.1})}, nil, []string{"low_rank_norm", "low_rank_grad_norm", "sparse_norm", "sparse_grad_norm"}},
		"per layer": {nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.1})}, perLayer, []string{"low_rank_norm", "low_rank_grad_norm", "sparse_norm", "sparse_grad_norm"}},
		"low rank":  {nn.Rule{OneOf: nn.As(nn.LowRank{Rank: 3})}, nil, []string{"low_rank_norm", "low_rank_grad_norm"}},
		"dense":     {nn.Rule{OneOf: nn.As(nn.Dense{})}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			trainer, records := factoredRun(t, c.layer, c.change)
			var steps []int
			for _, r := range records {
				for _, name := range []string{"low_rank_norm", "low_rank_grad_norm", "sparse_norm", "sparse_grad_norm"} {
					x, ok := r.Value(name)
					due := r.Kind == metrics.KindTrain && slices.Contains([]int{1, 2, 4, 6}, r.Step) && slices.Contains(c.want, name)
					if ok != due || ok && !(x > 0) {
						t.Errorf("%s record of step %d: %s = %v, %v; want it: %v", r.Kind, r.Step, name, x, ok, due)
					}
				}
				if r.Kind == metrics.KindTrain {
					steps = append(steps, r.Step)
				}
			}
			if len(steps) != 6 || c.want == nil {
				return
			}
			var product, sparse float64
			for _, name := range trainer.store.Layers() {
				product += math.Pow(trainer.store.ProductNorm(name), 2)
				sparse += math.Pow(trainer.store.SparseNorm(name), 2)
			}
			last := records[slices.IndexFunc(records, func(r metrics.Record) bool { return r.Step == 6 && r.Kind == metrics.KindTrain })]
			if got, _ := last.Value("low_rank_norm"); math.Abs(got/math.Sqrt(product)-1) > 1e-12 {
				t.Errorf("low_rank_norm = %g, want that of the trained store, %g", got, math.Sqrt(product))
			}
			if got, ok := last.Value("sparse_norm"); ok && math.Abs(got/math.Sqrt(sparse)-1) > 1e-12 {
				t.Errorf("sparse_norm = %g, want %g", got, math.Sqrt(sparse))
			}
			total, _ := last.Value("grad_norm")
			factors, _ := last.Value("low_rank_grad_norm")
			values, _ := last.Value("sparse_grad_norm")
			if !(math.Hypot(factors, values) < total) {
				t.Errorf("gradients of factors %g and of S %g are more than those of all, %g", factors, values, total)
			}
		})
	}
}

// TestZeroUpInitIsStationary: a network of low-rank layers with B = 0 has no gradient in any of them and keeps none,
// after any number of steps; sparse parts, or a random B, give all of them one (specification 4.9, point 4).
func TestZeroUpInitIsStationary(t *testing.T) {
	for name, c := range map[string]struct {
		layer nn.Rule
		zero  bool
	}{
		"low rank, B = 0":    {nn.Rule{OneOf: nn.As(nn.LowRank{Rank: 3, UpInit: "zeros"})}, true},
		"low rank, random B": {nn.Rule{OneOf: nn.As(nn.LowRank{Rank: 3})}, false},
		"sltrain, B = 0":     {nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.1})}, false},
	} {
		t.Run(name, func(t *testing.T) {
			trainer, _ := factoredRun(t, c.layer, func(c *recipe.Config) { c.Train.WeightDecay = 0 })
			for _, layer := range trainer.store.Layers() {
				if _, ok := trainer.store.Layer(layer).Factored(); !ok {
					continue
				}
				for _, part := range []string{".down.weight", ".up.weight", ".sparse.values"} {
					g := trainer.grads.Get(layer + part)
					if g == nil {
						continue
					}
					if zero := optim.Squares(g) == 0; zero != c.zero {
						t.Errorf("gradient of %s%s after 6 steps: zero: %v, want %v", layer, part, zero, c.zero)
					}
				}
			}
			if g := trainer.grads.Get("lm_head.weight"); optim.Squares(g) == 0 {
				t.Error("the head has no gradient either")
			}
		})
	}
}

// TestSLTrainAfterTraining: the support is that of the seed, and W - S is of rank R at most.
func TestSLTrainAfterTraining(t *testing.T) {
	const rank = 3
	l := nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: rank, Density: 0.1})}
	trainer, _ := factoredRun(t, l, nil)
	fresh, err := New(context.Background(), trainer.cfg, filepath.Join(t.TempDir(), "fresh"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	dense := trainer.store.Dense()
	for _, name := range trainer.store.Layers() {
		layer := trainer.store.Layer(name)
		if layer.Rule.Name != "sltrain" {
			continue
		}
		places := trainer.store.Index(name + ".sparse.indices")
		if !slices.Equal(places, fresh.store.Index(name+".sparse.indices")) {
			t.Errorf("%s: training has changed the places", name)
		}
		w := make([][]float64, layer.Out)
		values := dense.Get(name + ".weight").Float32s()
		for i := range w {
			for j := range layer.In {
				w[i] = append(w[i], float64(values[i*layer.In+j]))
			}
		}
		if full := rankOf(w); full <= rank {
			t.Errorf("%s: W has rank %d: the test shows nothing", name, full)
		}
		for k, p := range places {
			w[int(p)/layer.In][int(p)%layer.In] -= float64(trainer.store.Get(name + ".sparse.values").Float32s()[k])
		}
		if got := rankOf(w); got > rank {
			t.Errorf("%s: W - S has rank %d, want at most %d", name, got, rank)
		}
	}
}

// rankOf counts the pivots of a matrix that stand out from float32's rounding, by elimination with full pivoting.
func rankOf(a [][]float64) int {
	const rounding = 1e-5 // of the largest pivot
	m := make([][]float64, len(a))
	for i := range a {
		m[i] = slices.Clone(a[i])
	}
	var first float64
	for rank := 0; ; rank++ {
		var pivot float64
		pi, pj := 0, 0
		for i := rank; i < len(m); i++ {
			for j := rank; j < len(m[i]); j++ {
				if x := math.Abs(m[i][j]); x > pivot {
					pivot, pi, pj = x, i, j
				}
			}
		}
		first = max(first, pivot)
		if pivot <= rounding*first {
			return rank
		}
		m[rank], m[pi] = m[pi], m[rank]
		for _, row := range m {
			row[rank], row[pj] = row[pj], row[rank]
		}
		for i := rank + 1; i < len(m); i++ {
			f := m[i][rank] / m[rank][rank]
			for j := rank; j < len(m[i]); j++ {
				m[i][j] -= f * m[rank][j]
			}
		}
	}
}
