package nn_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/nn/nntest"
)

// factored makes one layer, "layer", on a fresh store.
func factored(cfg nn.Rule, seed uint64, dtype tensor.Dtype, in, out int, bias bool) *nn.Store {
	store := nn.NewStore(dtype)
	cfg.Match = "*"
	build(store, nn.Options{Seed: seed, Linear: []nn.Rule{cfg}}, func(b *nn.Builder) {
		nn.NewLinear(b.Sub("layer"), in, out, bias, nn.Normal(0.02))
	})
	return store
}

// TestSLTrainSupport: exactly floor(density out in) distinct places, ascending, that depend on the seed and the name.
func TestSLTrainSupport(t *testing.T) {
	for name, c := range map[string]struct {
		in, out int
		density float64
		want    int
	}{
		"exact":    {16, 24, 0.25, 96},
		"floor":    {7, 5, 0.1, 3},
		"paper":    {64, 172, 0.03, 330},
		"one":      {3, 3, 0.12, 1},
		"but one":  {10, 10, 0.99, 99},
		"one wide": {40, 1, 0.5, 20},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 1, Density: c.density})}
			places := factored(cfg, 1, tensor.Float32, c.in, c.out, false).Index("layer.sparse.indices")
			if len(places) != c.want {
				t.Fatalf("%d places, want %d", len(places), c.want)
			}
			for k, p := range places {
				if p < 0 || int(p) >= c.in*c.out || k > 0 && p <= places[k-1] {
					t.Fatalf("place %d is %d after %v", k, p, places[:k])
				}
			}
			if again := factored(cfg, 1, tensor.Float64, c.in, c.out, true).Index("layer.sparse.indices"); !slices.Equal(again, places) {
				t.Error("the places depend on more than the seed")
			}
			if other := factored(cfg, 2, tensor.Float32, c.in, c.out, false).Index("layer.sparse.indices"); c.want > 10 && c.want < 99 && slices.Equal(other, places) {
				t.Error("two seeds give the same places")
			}
		})
	}
}

// TestSLTrainSupportIsUniform: over many seeds each place is drawn as often as any other.
func TestSLTrainSupportIsUniform(t *testing.T) {
	const in, out, draws, density = 6, 5, 3000, 0.2
	counts := make([]float64, in*out)
	for seed := range uint64(draws) {
		for _, p := range factored(nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 1, Density: density})}, seed, tensor.Float32, in, out, false).Index("layer.sparse.indices") {
			counts[p]++
		}
	}
	// Deviations of a binomial count: five of them are beyond chance.
	tol := 5 * math.Sqrt(draws*density*(1-density))
	for p, n := range counts {
		if math.Abs(n-draws*density) > tol {
			t.Errorf("place %d was drawn %g times of %d, want %g within %.0f", p, n, draws, draws*density, tol)
		}
	}
}

// TestSLTrainStarts: with B = 0, W is S: nonzero at exactly its places, with the bounds of the default initialisation.
func TestSLTrainStarts(t *testing.T) {
	const in, out = 16, 24
	store := factored(nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 4, Alpha: 8, Density: 0.25})}, 5, tensor.Float64, in, out, true)
	w := store.Dense().Get("layer.weight").Float64s()
	places := store.Index("layer.sparse.indices")
	nonzero := 0
	for i, x := range w {
		if x == 0 {
			continue
		}
		nonzero++
		if _, found := slices.BinarySearch(places, int32(i)); !found || math.Abs(x) > 1/math.Sqrt(in) {
			t.Errorf("W[%d] = %g: want it at a place of S and at most 1/sqrt(in)", i, x)
		}
	}
	if nonzero != len(places) || nonzero != in*out/4 {
		t.Errorf("%d nonzero entries, want %d", nonzero, in*out/4)
	}
	if n := store.ProductNorm("layer"); n != 0 {
		t.Errorf("B = 0, but the product has norm %g", n)
	}
	if s := store.Layer("layer"); s.Parameters() != 4*(in+out)+in*out/4 {
		t.Errorf("%d parameters", s.Parameters())
	}
}

// TestProductNorm: the norms without the product are those of the product, and a merged weight is product plus S.
func TestProductNorm(t *testing.T) {
	const in, out, rank = 300, 270, 5 // more than one block of rows and of columns
	for name, cfg := range map[string]nn.Rule{
		"low rank":      {OneOf: nn.As(nn.LowRank{Rank: rank})},
		"sltrain":       {OneOf: nn.As(nn.SLTrain{Rank: rank, Alpha: 20, Density: 0.02, UpInit: "uniform"})},
		"learned scale": {OneOf: nn.As(nn.SLTrain{Rank: rank, Density: 0.02, UpInit: "uniform", TrainScale: true})},
	} {
		for dtype, tol := range map[tensor.Dtype]float64{tensor.Float64: 1e-12, tensor.Float32: 1e-6} {
			t.Run(name+"/"+dtype.String(), func(t *testing.T) {
				store := factored(cfg, 9, dtype, in, out, false)
				scale := map[string]float64{"low rank": 1, "sltrain": 4, "learned scale": math.Tanh(1)}[name]
				up, down := numbers(store, "layer.up.weight"), numbers(store, "layer.down.weight")
				want := make([]float64, out*in)
				for i := range out {
					for k := range rank {
						for j := range in {
							want[i*in+j] += scale * up[i*rank+k] * down[k*in+j]
						}
					}
				}
				if got, norm := store.ProductNorm("layer"), euclid(want); math.Abs(got/norm-1) > tol {
					t.Errorf("ProductNorm = %.12g, want %.12g", got, norm)
				}
				if cfg.Name == "sltrain" {
					values := numbers(store, "layer.sparse.values")
					if got, norm := store.SparseNorm("layer"), euclid(values); math.Abs(got/norm-1) > tol {
						t.Errorf("SparseNorm = %.12g, want %.12g", got, norm)
					}
					for k, p := range store.Index("layer.sparse.indices") {
						want[p] += values[k]
					}
				} else if got := store.SparseNorm("layer"); got != 0 {
					t.Errorf("SparseNorm of a layer without S = %g", got)
				}
				merged := numbers(store.Dense(), "layer.weight")
				for i := range want {
					want[i] -= merged[i]
				}
				if d := euclid(want) / euclid(merged); d > tol {
					t.Errorf("the merged weight is off by %g", d)
				}
			})
		}
	}
}

func numbers(s *nn.Store, name string) []float64 {
	d := s.Get(name)
	if s.Dtype == tensor.Float64 {
		return slices.Clone(d.Float64s())
	}
	out := make([]float64, d.Shape().TotalSize())
	for i, x := range d.Float32s() {
		out[i] = float64(x)
	}
	return out
}

func euclid(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// TestCheckIndices: integers that cannot be places are refused, with the layer and the number.
func TestCheckIndices(t *testing.T) {
	for name, c := range map[string]struct {
		damage func([]int32)
		want   string
	}{
		"sound":      {func([]int32) {}, ""},
		"duplicate":  {func(p []int32) { p[3] = p[2] }, "layer.sparse.indices[3]"},
		"descending": {func(p []int32) { p[4], p[5] = p[5], p[4] }, "layer.sparse.indices[5]"},
		"too large":  {func(p []int32) { p[len(p)-1] = 16 * 24 }, "is 384, want ascending numbers from 0 to 383"},
		"negative":   {func(p []int32) { p[0] = -1 }, "layer.sparse.indices[0] is -1"},
	} {
		store := factored(nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: 2, Density: 0.1})}, 5, tensor.Float32, 16, 24, false)
		c.damage(store.Index("layer.sparse.indices"))
		err := store.CheckIndices()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestLaterTablesWin: of the tables that match a layer, the last decides.
func TestLaterTablesWin(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	b := build(store, nn.Options{Linear: []nn.Rule{
		{Match: "*", OneOf: nn.As(nn.LowRank{Rank: 2})},
		{Match: "*.mlp.*", OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.5})},
		{Match: "*.down_proj", OneOf: nn.As(nn.Dense{})},
		{Match: "*.nothing", OneOf: nn.As(nn.Dense{})},
	}}, func(b *nn.Builder) {
		mlp(b.Sub("0"))
		nn.NewLinear(b.Sub("head"), 6, 8, false, nn.Normal(1))
	})
	for name, want := range map[string]string{"0.mlp.up_proj": "sltrain", "0.mlp.gate_proj": "sltrain", "0.mlp.down_proj": "dense", "head": "low_rank"} {
		if got := store.Layer(name).Rule.Name; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := b.Unmatched(); !slices.Equal(got, []string{"*.nothing"}) {
		t.Errorf("unmatched %v", got)
	}
}

// TestSLTrainSizes: a matrix whose places do not fit 32-bit integers, and one with
// no place, are refused before anything is drawn, by name.
func TestSLTrainSizes(t *testing.T) {
	check := func(in, out int, want string) {
		t.Helper()
		nntest.Refuses(t, want, []nn.Rule{{Match: "*", OneOf: nn.As(nn.SLTrain{Rank: 1, Density: 1e-9})}}, func(b *nn.Builder) {
			nn.NewLinear(b.Sub("layer"), in, out, false, nn.Normal(1))
		})
	}
	check(1<<16, 1<<15-1, "")
	check(1<<16, 1<<15, "layer.weight has shape (32768, 65536), want fewer than 2^31 entries")
	check(16, 24, `layer.weight has shape (24, 16), want a density of at least 1/384, since 1e-09 gives S no entry, or kind = "low_rank"`)
}
