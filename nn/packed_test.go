package nn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// outputsOf are those of the layer of factored, for n rows.
func outputsOf(t *testing.T, store *nn.Store, cfg nn.Rule, n, in, out int) []float32 {
	t.Helper()
	cfg.Match = "*"
	tape := op.NewTape(tensor.Float32, false)
	b := nn.NewBuilder(tape, store, nn.Options{Seed: 3, Linear: []nn.Rule{cfg}})
	x := tape.Input("x", tensor.New(tensor.WithShape(n, in), tensor.WithBacking(drawn("x", n*in))))
	l := nn.NewLinear(b.Sub("layer"), in, out, true, nn.Normal(0.02))
	y := l.Forward(x)
	w := nn.WeightOf(b.Sub("again"), l, in) // [out, in]
	runner(t, tape, y, w)()
	return slices.Concat(y.Value().(*tensor.Dense).Float32s(), w.Value().(*tensor.Dense).Float32s())
}

// TestPackedLayers: of every kind a store that keeps few bits in memory computes, folds and stores the very numbers of one
// that reads them into float32, and takes the memory that it says.
func TestPackedLayers(t *testing.T) {
	const in, out = 24, 19
	for _, kind := range quantizedKinds {
		for _, bits := range []int{8, 4} {
			for _, rows := range []int{1, 50} {
				cfg := kind.cfg
				cfg.Quantize, cfg.QuantBlock = fmt.Sprintf("int%d", bits), 24
				t.Run(fmt.Sprintf("%s %v %s %d rows", cfg.Name, cfg.Of, cfg.Quantize, rows), func(t *testing.T) {
					plain, packed := factored(cfg, 3, tensor.Float32, in, out, true), nn.NewStore(tensor.Float32)
					copy(plain.Get("layer.bias").Float32s(), drawn("bias", out))
					packed.Packed = true
					outputsOf(t, packed, cfg, rows, in, out) // makes the parameters
					if !slices.Equal(packed.Names(), plain.Names()) || packed.Parameters() != plain.Parameters() || packed.StoredBytes() != plain.StoredBytes() {
						t.Errorf("%q, %d values, %d bytes stored; want %q, %d, %d", packed.Names(), packed.Parameters(), packed.StoredBytes(), plain.Names(), plain.Parameters(), plain.StoredBytes())
					}
					whole := cfg.Name == "dense" || cfg.Name == "low_rank"
					bytes := 0
					for _, name := range plain.Names() {
						q, w := plain.Quantization(name), plain.Get(name).Float32s()
						codes := plain.Codes
						if packed.InFewBits(name) != (whole && q.Bits > 0) {
							t.Errorf("%s is in few bits: %v", name, packed.InFewBits(name))
						}
						if !packed.InFewBits(name) {
							if q.Bits > 0 {
								if err := q.Round(w); err != nil {
									t.Fatal(err)
								}
							}
							copy(packed.Get(name).Float32s(), w)
							bytes += 4 * len(w)
							continue
						}
						if packed.Get(name) != nil {
							t.Errorf("%s is in memory twice", name)
						}
						c := codes(name)
						copy(packed.Codes(name).Codes, c.Codes)
						copy(packed.Codes(name).AbsMax, c.AbsMax)
						if err := q.Round(w); err != nil {
							t.Fatal(err)
						}
						bytes += len(c.Codes) + 4*len(c.AbsMax)
					}
					for _, name := range plain.IndexNames() {
						copy(packed.Index(name), plain.Index(name))
					}
					for _, name := range plain.AtomNames() {
						copy(packed.Atoms(name).Index, plain.Atoms(name).Index)
					}
					if packed.Bytes() != bytes || whole && packed.Bytes() != packed.StoredBytes() {
						t.Errorf("%d bytes, want %d in memory and %d stored", packed.Bytes(), bytes, packed.StoredBytes())
					}
					got, want := outputsOf(t, packed, cfg, rows, in, out), outputsOf(t, plain, cfg, rows, in, out)
					if !slices.Equal(got, want) {
						t.Error("outputs or weights are not those of float32")
					}
					if !slices.Equal(packed.DenseWeight("layer"), plain.DenseWeight("layer")) || packed.ProductNorm("layer") != plain.ProductNorm("layer") {
						t.Error("the weight is not that of float32")
					}
					folded, merged := packed.Dense(), plain.Dense()
					for _, name := range merged.Names() {
						if folded.InFewBits(name) || !slices.Equal(folded.Get(name).Float32s(), merged.Get(name).Float32s()) {
							t.Errorf("folded, %s is another", name)
						}
					}
				})
			}
		}
	}
}

// TestPackedPlan: a store without memory counts the same bytes.
func TestPackedPlan(t *testing.T) {
	cfg := nn.Rule{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int4"}}
	sizes := map[bool]int{}
	for _, virtual := range []bool{false, true} {
		store := nn.NewStore(tensor.Float32)
		store.Packed, store.Virtual = true, virtual
		build(store, nn.Options{Linear: []nn.Rule{{Match: "*", OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: cfg.Quantize}}}}, func(b *nn.Builder) {
			nn.NewLinear(b.Sub("layer"), 50, 31, true, nn.Normal(0.02))
		})
		sizes[virtual] = store.Bytes()
	}
	if want := 50*31/2 + 4*25 + 4*31; sizes[true] != want || sizes[false] != want {
		t.Errorf("%v bytes, want %d", sizes, want)
	}
}

// TestPackedDoesNotTrain: a gradient through a weight in few bits is an error that says so.
func TestPackedDoesNotTrain(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	store.Packed = true
	cfg := []nn.Rule{{Match: "layer", OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int8"}}, {Match: "first", OneOf: nn.As(nn.Dense{})}}
	tape := op.NewTape(tensor.Float32, true)
	b := nn.NewBuilder(tape, store, nn.Options{Linear: cfg, Sink: nn.NewGradients(store)})
	x := tape.Input("x", tensor.New(tensor.WithShape(2, 5), tensor.WithBacking(drawn("x", 10))))
	x = nn.NewLinear(b.Sub("first"), 5, 5, false, nn.Normal(0.02)).Forward(x)
	y := nn.NewLinear(b.Sub("layer"), 5, 3, false, nn.Normal(0.02)).Forward(x)
	err := tape.Backward(op.CrossEntropy(tape, y, tape.Input("targets", tensor.New(tensor.Of(tensor.Int), tensor.WithShape(2)))))
	if err == nil || !strings.Contains(err.Error(), "quantized_linear has no gradient: its weight is in few bits") {
		t.Errorf("%v, want an error about few bits", err)
	}
}
