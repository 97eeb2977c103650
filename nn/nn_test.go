package nn_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// build makes layers on a fresh store.
func build(store *nn.Store, opts nn.Options, f func(*nn.Builder)) *nn.Builder {
	b := nn.NewBuilder(op.NewTape(store.Dtype, opts.Sink != nil), store, opts)
	f(b)
	return b
}

func mlp(b *nn.Builder) {
	nn.NewMLP(b.Sub("mlp"), nn.MLPConfig{Kind: "swiglu", DModel: 6, DFF: 10, Bias: true, Init: nn.Normal(0.02), OutInit: nn.Normal(0.01)})
	nn.NewNorm(b.Sub("norm"), "layer_norm", 6, 1e-5)
}

// TestNamesAndShapes: parameters have the field's names and [out, in] shapes, in
// the order of their creation.
func TestNamesAndShapes(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	build(store, nn.Options{Seed: 1}, mlp)
	want := []string{"mlp.gate_proj.bias", "mlp.gate_proj.weight", "mlp.up_proj.bias", "mlp.up_proj.weight",
		"mlp.down_proj.bias", "mlp.down_proj.weight", "norm.weight", "norm.bias"}
	if !slices.Equal(store.Names(), want) {
		t.Errorf("names %v, want %v", store.Names(), want)
	}
	if s := store.Shape("mlp.down_proj.weight"); !s.Eq(tensor.Shape{6, 10}) {
		t.Errorf("down_proj has shape %v, want [out, in] = (6, 10)", s)
	}
	if n := store.Parameters(); n != 3*60+10+10+6+12 {
		t.Errorf("%d parameters", n)
	}
}

// TestInitialValues: they depend on seed and name alone, not on what was built
// before, and have the distribution that was asked for.
func TestInitialValues(t *testing.T) {
	one, two, other := nn.NewStore(tensor.Float32), nn.NewStore(tensor.Float32), nn.NewStore(tensor.Float32)
	build(one, nn.Options{Seed: 1}, mlp)
	build(two, nn.Options{Seed: 1}, func(b *nn.Builder) {
		nn.NewEmbedding(b.Sub("first"), 5, 5, nn.Normal(1))
		mlp(b)
	})
	build(other, nn.Options{Seed: 2}, mlp)
	for _, name := range one.Names() {
		if !slices.Equal(one.Get(name).Float32s(), two.Get(name).Float32s()) {
			t.Errorf("%s depends on what was built before", name)
		}
	}
	if slices.Equal(one.Get("mlp.up_proj.weight").Float32s(), other.Get("mlp.up_proj.weight").Float32s()) {
		t.Error("two seeds give the same weights")
	}
	store := nn.NewStore(tensor.Float64)
	const n = 40000
	build(store, nn.Options{Seed: 3}, func(b *nn.Builder) {
		b.Weight("normal", nn.Normal(0.5), n)
		b.Weight("uniform", nn.Uniform(0.3), n)
		b.Weight("constant", nn.Constant(0.7), n)
	})
	for name, want := range map[string][2]float64{"normal": {0, 0.5}, "uniform": {0, 0.3 / math.Sqrt(3)}, "constant": {0.7, 0}} {
		var sum, square float64
		for _, x := range store.Get(name).Float64s() {
			sum += x
			square += x * x
		}
		mean := sum / n
		deviation := math.Sqrt(max(0, square/n-mean*mean))
		if math.Abs(mean-want[0]) > 0.01 || math.Abs(deviation-want[1]) > 0.01 {
			t.Errorf("%s: mean %.4f, deviation %.4f; want %v", name, mean, deviation, want)
		}
	}
	for _, x := range store.Get("uniform").Float64s() {
		if x < -0.3 || x >= 0.3 {
			t.Fatalf("uniform value %g is out of range", x)
		}
	}
}

// TestShapeMismatch: a store's parameter of another shape is a typed panic that
// names it.
func TestShapeMismatch(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	build(store, nn.Options{}, func(b *nn.Builder) { b.Weight("w", nn.Constant(0), 2, 3) })
	defer func() {
		if e, ok := recover().(*op.ShapeError); !ok || e.What != "w" {
			t.Errorf("got %v, want an op.ShapeError about w", e)
		}
	}()
	build(store, nn.Options{}, func(b *nn.Builder) { b.Weight("w", nn.Constant(0), 3, 2) })
}

// TestVirtualStore has names and shapes and no memory.
func TestVirtualStore(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	build(store, nn.Options{}, func(b *nn.Builder) { b.Weight("huge", nn.Normal(1), 1<<20, 1<<14) })
	if store.Get("huge") != nil || store.Parameters() != 1<<34 || store.Bytes() != 1<<36 {
		t.Errorf("%d parameters in %d bytes, value %v", store.Parameters(), store.Bytes(), store.Get("huge"))
	}
}

// TestUnmatched: patterns that decide no layer are listed; later tables win.
func TestUnmatched(t *testing.T) {
	store := nn.NewStore(tensor.Float32)
	b := build(store, nn.Options{Linear: []nn.Rule{
		{Match: "*.gate_proj", OneOf: nn.As(nn.LowRank{Rank: 2})}, {Match: "*.attn.*", OneOf: nn.As(nn.Dense{})}, {Match: "mlp.*", OneOf: nn.As(nn.Dense{})},
	}}, mlp)
	if got := b.Unmatched(); !slices.Equal(got, []string{"*.gate_proj", "*.attn.*"}) {
		t.Errorf("unmatched %v", got)
	}
	if k := store.Layer("mlp.gate_proj").Rule.Name; k != "dense" {
		t.Errorf("gate_proj is %s: the later table should win", k)
	}
}

// TestGradients: a gradient is made once, added to or replaced as told, and
// frozen weights have none.
func TestGradients(t *testing.T) {
	store := nn.NewStore(tensor.Float64)
	grads := nn.NewGradients(store)
	tape := op.NewTape(tensor.Float64, true)
	b := nn.NewBuilder(tape, store, nn.Options{Seed: 1, Sink: grads, Frozen: func(n string) bool { return strings.HasPrefix(n, "frozen") }})
	x := op.Value(b.Weight("x", nn.Normal(1), 2, 3).Use())
	y := nn.NewLinear(b.Sub("frozen"), 3, 4, true, nn.Normal(1)).Forward(x)
	targets := tensor.New(tensor.WithBacking([]int{1, 3}), tensor.WithShape(2))
	loss := op.CrossEntropy(tape, y, tape.Input("targets", targets))
	if err := tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	run := runner(t, tape)
	run()
	first := slices.Clone(grads.Get("x").Float64s())
	run()
	if !slices.Equal(grads.Get("x").Float64s(), first) {
		t.Error("a second run without Add changed the gradient")
	}
	grads.Add = true
	run()
	for i, g := range grads.Get("x").Float64s() {
		if math.Abs(g-2*first[i]) > 1e-12 {
			t.Errorf("with Add: %g, want %g", g, 2*first[i])
		}
	}
	if got := grads.Names(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("gradients of %v, want x only", got)
	}
}
