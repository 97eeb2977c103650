package nn_test

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

const (
	rows, width = 5, 6
	eps         = 1e-3 // of norms: large enough to matter
)

// numbersOf are a layer's values by name.
type numbersOf = map[string][]float64

// affine is y[n,o] = sum_i x[n,i] w[o,i] + b[o]; b may be nil.
func affine(x, w, b []float64, in int) []float64 {
	n, out := len(x)/in, len(w)/in
	y := make([]float64, n*out)
	for r := range n {
		for o := range out {
			for i := range in {
				y[r*out+o] += x[r*in+i] * w[o*in+i]
			}
			if b != nil {
				y[r*out+o] += b[o]
			}
		}
	}
	return y
}

// product is scale B A of up B [out, rank] and down A [rank, in].
func product(scale float64, up, down []float64, rank int) []float64 {
	out, in := len(up)/rank, len(down)/rank
	w := make([]float64, out*in)
	for o := range out {
		for i := range in {
			for k := range rank {
				w[o*in+i] += scale * up[o*rank+k] * down[k*in+i]
			}
		}
	}
	return w
}

func each(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

// functions are the activations of NewMLP as their definitions have them.
var functions = map[string]func(float64) float64{
	"silu": func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"gelu": func(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) },
	"gelu_tanh": func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	"relu": func(x float64) float64 { return max(0, x) },
}

// normed is (x - mean) / sqrt(var + eps) * w + b of each row, without the mean if b is nil.
func normed(x, w, b []float64) []float64 {
	y := make([]float64, len(x))
	for lo := 0; lo < len(x); lo += width {
		var mean, square float64
		if b != nil {
			for _, v := range x[lo : lo+width] {
				mean += v / width
			}
		}
		for _, v := range x[lo : lo+width] {
			square += (v - mean) * (v - mean) / width
		}
		for i := range width {
			y[lo+i] = (x[lo+i] - mean) / math.Sqrt(square+eps) * w[i]
			if b != nil {
				y[lo+i] += b[i]
			}
		}
	}
	return y
}

// layerCase is one layer: how it is made and used, and what it should give.
type layerCase struct {
	linear nn.Rule // of layers that say nothing else; no kind: dense
	build  func(b *nn.Builder, x *G.Node) *G.Node
	naive  func(v numbersOf, s *nn.Store) []float64
}

func (c layerCase) check(t *testing.T) {
	var linear []nn.Rule
	if c.linear.Of != nil {
		c.linear.Match = "*"
		linear = []nn.Rule{c.linear}
	}
	var store *nn.Store
	nntest.Check(t, nntest.Layer{
		Linear: linear,
		Build: func(b *nn.Builder) *G.Node {
			store = b.Store
			return c.build(b, nntest.Input(b, "x", rows, width))
		},
		Naive: func(v numbersOf) []float64 { return c.naive(v, store) },
	})
}

func linear(bias bool) func(*nn.Builder, *G.Node) *G.Node {
	return func(b *nn.Builder, x *G.Node) *G.Node {
		return nn.NewLinear(b.Sub("layer"), width, 7, bias, nn.Normal(1)).Forward(x)
	}
}

// TestLinear: every representation is y = x Wᵀ + b with the W of its equation.
func TestLinear(t *testing.T) {
	const rank = 2
	factors := func(v numbersOf, scale float64) []float64 {
		return product(scale, v["layer.up.weight"], v["layer.down.weight"], rank)
	}
	with := func(weight func(numbersOf, *nn.Store) []float64) func(numbersOf, *nn.Store) []float64 {
		return func(v numbersOf, s *nn.Store) []float64 { return affine(v["x"], weight(v, s), v["layer.bias"], width) }
	}
	sparse := func(v numbersOf, s *nn.Store, scale float64) []float64 {
		w := factors(v, scale)
		for k, p := range s.Index("layer.sparse.indices") {
			w[p] += v["layer.sparse.values"][k]
		}
		return w
	}
	dense := with(func(v numbersOf, _ *nn.Store) []float64 { return v["layer.weight"] })
	lowRank := with(func(v numbersOf, _ *nn.Store) []float64 { return factors(v, 1) })
	constant := with(func(v numbersOf, s *nn.Store) []float64 { return sparse(v, s, 3.0/rank) })
	learned := with(func(v numbersOf, s *nn.Store) []float64 { return sparse(v, s, math.Tanh(v["layer.scale"][0])) })
	adapted := with(func(v numbersOf, s *nn.Store) []float64 {
		w := factors(v, 3.0/rank)
		for i, x := range s.Base("layer.weight").Weight.Float64s() {
			w[i] += x
		}
		return w
	})
	// The entries of W by DSFormer's equation, blocks of 3 inputs or 7 outputs.
	denseSparse := func(cfg nn.DenseSparse) layerCase {
		return layerCase{linear: nn.Rule{OneOf: nn.As(cfg)}, build: linear(true), naive: with(func(v numbersOf, s *nn.Store) []float64 {
			w, index, at := make([]float64, 7*width), s.Atoms("layer.sparse.indices").Index, 0
			for g, nonzeros := range cfg.BlockNonzeros(width, 7) {
				for range nonzeros {
					for i := range 7 * width / cfg.Block / len(cfg.BlockNonzeros(width, 7)) {
						for j := range cfg.Block {
							row, col := i, g*cfg.Block+j
							if cfg.Axis == "out" {
								row, col = col, row
							}
							atom := int(index[at])
							if !cfg.Shared {
								atom += g * cfg.Atoms
							}
							w[row*width+col] += v["layer.sparse.values"][at] * v["layer.dictionary.weight"][atom*cfg.Block+j]
						}
						at++
					}
				}
			}
			return w
		})}
	}
	slTrain := func(mode string, trainScale bool) nn.Rule {
		return nn.Rule{OneOf: nn.As(nn.SLTrain{Rank: rank, Alpha: 3, Density: 0.3, Mode: mode, TrainScale: trainScale})}
	}
	for name, c := range map[string]layerCase{
		"dense":                              {build: linear(false), naive: dense},
		"dense, bias":                        {build: linear(true), naive: dense},
		"low rank":                           {linear: nn.Rule{OneOf: nn.As(nn.LowRank{Rank: rank})}, build: linear(false), naive: lowRank},
		"low rank, bias":                     {linear: nn.Rule{OneOf: nn.As(nn.LowRank{Rank: rank})}, build: linear(true), naive: lowRank},
		"sltrain, materialized":              {linear: slTrain("materialized", false), build: linear(false), naive: constant},
		"sltrain, materialized, bias":        {linear: slTrain("materialized", false), build: linear(true), naive: constant},
		"sltrain, materialized, train_scale": {linear: slTrain("materialized", true), build: linear(true), naive: learned},
		"sltrain, factored":                  {linear: slTrain("factored", false), build: linear(false), naive: constant},
		"sltrain, factored, bias":            {linear: slTrain("factored", false), build: linear(true), naive: constant},
		"sltrain, factored, train_scale":     {linear: slTrain("factored", true), build: linear(true), naive: learned},
		"lora":                               {linear: nn.Rule{OneOf: nn.As(nn.LoRA{Rank: rank, Alpha: 3})}, build: linear(true), naive: adapted},
		"dense_sparse":                       denseSparse(nn.DenseSparse{Block: 3, Atoms: 4, Nonzeros: []int{2}}),
		"dense_sparse, shared":               denseSparse(nn.DenseSparse{Block: 3, Atoms: 4, Nonzeros: []int{3, 1}, Axis: "in", Shared: true, Mode: "factored"}),
		"dense_sparse, outputs":              denseSparse(nn.DenseSparse{Block: 7, Atoms: 8, Nonzeros: []int{2}, Axis: "out"}),
	} {
		t.Run(name, c.check)
	}
}

// TestMLP: both forms, every activation, with and without biases.
func TestMLP(t *testing.T) {
	const inside = 8
	for _, kind := range nn.MLPKinds {
		for name, bias := range map[string]bool{kind: false, kind + ", bias": true} {
			layerCase{
				build: func(b *nn.Builder, x *G.Node) *G.Node {
					return nn.NewMLP(b, nn.MLPConfig{Kind: kind, DModel: width, DFF: inside, Bias: bias, Init: nn.Normal(1), OutInit: nn.Normal(1)}).Forward(x)
				},
				naive: func(v numbersOf, _ *nn.Store) []float64 {
					layer := func(x []float64, name string, in int) []float64 {
						return affine(x, v[name+".weight"], v[name+".bias"], in)
					}
					if kind != "swiglu" {
						return layer(each(layer(v["x"], "fc1", width), functions[kind]), "fc2", inside)
					}
					hidden := each(layer(v["x"], "gate_proj", width), functions["silu"])
					for i, u := range layer(v["x"], "up_proj", width) {
						hidden[i] *= u
					}
					return layer(hidden, "down_proj", inside)
				},
			}.named(t, name)
		}
	}
}

func (c layerCase) named(t *testing.T, name string) { t.Run(name, c.check) }

// TestNorm: both kinds, each row by itself.
func TestNorm(t *testing.T) {
	for _, kind := range nn.NormKinds {
		layerCase{
			build: func(b *nn.Builder, x *G.Node) *G.Node { return nn.NewNorm(b.Sub("norm"), kind, width, eps).Forward(x) },
			naive: func(v numbersOf, _ *nn.Store) []float64 {
				if (v["norm.bias"] != nil) != (kind == "layer_norm") {
					t.Errorf("%s: bias %v", kind, v["norm.bias"])
				}
				return normed(v["x"], v["norm.weight"], v["norm.bias"])
			},
		}.named(t, kind)
	}
}

// TestEmbedding: rows of the table, repeated ones too; tied, the same table gives
// the logits and its gradient is the sum of both uses.
func TestEmbedding(t *testing.T) {
	ids, count := []int{3, 0, 3, 8, 1}, 9
	lookup := func(v numbersOf) []float64 {
		y := make([]float64, 0, rows*width)
		for r, id := range ids {
			for i := range width {
				y = append(y, v["x"][r*width+i]+v["embed.weight"][id*width+i])
			}
		}
		return y
	}
	build := func(tied bool) func(*nn.Builder, *G.Node) *G.Node {
		return func(b *nn.Builder, x *G.Node) *G.Node {
			e := nn.NewEmbedding(b.Sub("embed"), count, width, nn.Normal(1))
			input := b.Tape.Input("ids", tensor.New(tensor.WithBacking(ids), tensor.WithShape(rows)))
			y := op.Add(b.Tape, x, e.Forward(input))
			if tied {
				return e.Logits(y)
			}
			return y
		}
	}
	layerCase{build: build(false), naive: func(v numbersOf, _ *nn.Store) []float64 { return lookup(v) }}.named(t, "lookup")
	layerCase{build: build(true), naive: func(v numbersOf, _ *nn.Store) []float64 {
		return affine(lookup(v), v["embed.weight"], nil, width)
	}}.named(t, "tied logits")
}
