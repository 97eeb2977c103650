package nn_test

import (
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// twice is a kind from outside: W = 2 V with V [out, in], of which nothing in this package knows.
type twice struct {
	Spread float64 `toml:"spread"`
}

func (twice) Validate(*configs.Report) {}

func (k twice) Layout(in, out int) nn.Layout {
	return nn.Layout{Arrays: []nn.Spec{{Name: "half", Shape: []int{out, in}, Init: nn.Normal(k.Spread), Rounds: true}}, Work: in * out}
}

func (twice) New(w nn.Weights, bias *nn.Weight) nn.Linear { return twiceLayer{w["half"], bias} }

func (twice) Matrix(w map[string]nn.Array) []float64 {
	m := w["half"].Float64s()
	for i := range m {
		m[i] *= 2
	}
	return m
}

type twiceLayer struct {
	half nn.Weight
	bias *nn.Weight
}

func (l twiceLayer) Forward(x *G.Node) *G.Node {
	var bias *op.Param
	if l.bias != nil {
		p := l.bias.Use()
		bias = &p
	}
	return op.Add(l.half.Tape(), op.Linear(x, l.half.Use(), bias), op.Linear(x, l.half.Use(), nil))
}

// TestKindFromOutside: a kind that is only in a longer list is decoded, counted, stored, merged and computed with by its
// Layout alone, and counts as no product of factors.
func TestKindFromOutside(t *testing.T) {
	var table struct {
		Linear []nn.Rule `toml:"linear"`
	}
	lists := configs.With(shipped(), configs.Choice[nn.Kind]{Name: "twice", New: func() nn.Kind { return twice{Spread: 1} }})
	const text = "[[linear]]\nmatch = '*'\nkind = 'twice'\nquantize = 'int8'\nquant_block = 8"
	if err := configs.Decode("a.toml", []byte(text), &table, configs.Options{Lists: lists}); err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	build(store, nn.Options{Linear: table.Linear}, func(b *nn.Builder) { nn.NewLinear(b.Sub("layer"), 4, 6, true, nn.Normal(1)) })
	l := store.Layer("layer")
	if l.Parameters() != 24 || l.Nonzeros() != 0 || l.IndexBytes() != 0 || l.BaseBytes(tensor.Float32) != 0 || l.StoredBytes(tensor.Float32) != 24+3*4 || l.MultiplyAdds() != 24 {
		t.Errorf("%d parameters, %d nonzeros, %d stored bytes, work %d", l.Parameters(), l.Nonzeros(), l.StoredBytes(tensor.Float32), l.MultiplyAdds())
	}
	if _, ok := l.Factored(); ok || l.Rule.Dense() || store.ProductNorm("layer") != 0 || store.SparseNorm("layer") != 0 {
		t.Error("the layer counts as one of factors, or as a dense one")
	}
	if store.Parameters() != 30 || store.StoredBytes() != l.StoredBytes(tensor.Float32)+6*4 || store.Quantization("layer.half").Bits != 8 {
		t.Errorf("the store has %d parameters in %d bytes", store.Parameters(), store.StoredBytes())
	}
	half, merged := numbers(store, "layer.half"), store.Dense()
	for i, x := range numbers(merged, "layer.weight") {
		if math.Abs(x-2*half[i]) > 1e-6 || x != store.DenseWeight("layer")[i] {
			t.Fatalf("W[%d] = %g, want twice %g", i, x, half[i])
		}
	}
	if want := []string{"layer.bias", "layer.weight"}; !slices.Equal(merged.Names(), want) {
		t.Errorf("merged, the store has %q, want %q", merged.Names(), want)
	}
}

// TestLayouts: of every kind the arrays that a store has are those of the layout, and its counts are their sums.
func TestLayouts(t *testing.T) {
	rules := []nn.Rule{{OneOf: nn.As(nn.LoRA{Rank: 3, Keep: "int4"})}, {OneOf: nn.As(nn.LoRA{Rank: 3})}}
	for _, k := range quantizedKinds {
		rules = append(rules, k.cfg)
	}
	for _, rule := range rules {
		store := factored(rule, 1, tensor.Float32, 24, 19, false)
		l := store.Layer("layer")
		var names []string
		for _, a := range l.Layout().Arrays {
			name := "layer." + a.Name
			switch shape := store.Shape(name); {
			case shape != nil:
				names = append(names, name)
				if !slices.Equal([]int(shape), a.Shape) {
					t.Errorf("%s: %s has shape %v, declared %v", rule.Name, name, shape, a.Shape)
				}
			case a.Places != 0 && len(store.Index(name)) == a.Shape[0], a.Atoms != nil && store.Atoms(name).Len() == a.Atoms.Len(), a.Frozen && store.Base(name) != nil:
			default:
				t.Errorf("%s: %s is declared and not made", rule.Name, name)
			}
		}
		if !slices.Equal(names, store.Names()) {
			t.Errorf("%s: parameters %q, declared %q", rule.Name, store.Names(), names)
		}
		if l.Parameters() != store.Parameters() || l.StoredBytes(tensor.Float32) != store.StoredBytes() || l.BaseBytes(tensor.Float32) != store.BaseBytes() {
			t.Errorf("%s: %d parameters, %d bytes stored, %d frozen; the store says %d, %d, %d", rule.Name,
				l.Parameters(), l.StoredBytes(tensor.Float32), l.BaseBytes(tensor.Float32), store.Parameters(), store.StoredBytes(), store.BaseBytes())
		}
	}
}

// TestNewHead: a store knows after which layers nothing comes.
func TestNewHead(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	build(store, nn.Options{}, func(b *nn.Builder) {
		nn.NewLinear(b.Sub("layer"), 4, 4, false, nn.Normal(1))
		nn.NewHead(b.Sub("head"), 4, 2, false, nn.Normal(1))
	})
	if store.Layer("layer").Head || !store.Layer("head").Head {
		t.Error("the head is not told from other layers")
	}
}
