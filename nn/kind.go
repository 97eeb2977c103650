package nn

import (
	"fmt"
	"reflect"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/op"
)

// Kind is a representation of the linear layer y = x Wᵀ + b with W [out, in]: a struct of the keys that its [[model.linear]]
// table has. What a store counts, stores, checks and merges of such a layer follows from its Layout.
type Kind interface {
	// Validate reports what no layer of the kind can have.
	Validate(r *configs.Report)
	// Layout declares the arrays of a layer, the bias left out, in the order in which they are made.
	Layout(in, out int) Layout
	// New makes the layer of its arrays, which are bound to a graph, by name; bias may be nil.
	New(w Weights, bias *Weight) Linear
	// Matrix returns W [out, in], row by row, of the layer's arrays by name, in memory of its own.
	Matrix(w map[string]Array) []float64
}

// Linear is y = x Wᵀ + b with W [out, in] and b [out], however W is represented.
type Linear interface {
	// Forward maps x [N, in] to [N, out].
	Forward(x *G.Node) *G.Node
}

// Fitted is a Kind that some shapes do not suit.
type Fitted interface {
	Kind
	// Fits says what the shape of W should be instead; "" if it fits. Layout is only asked for shapes that fit.
	Fits(in, out int) string
}

// Factored is a Kind with a product B A among its parts: of up.weight B [out, R] and down.weight A [R, in].
type Factored interface {
	Kind
	// Width is R.
	Width() int
	// ProductScale is the factor of B A.
	ProductScale(w map[string]Array) float64
}

// Based is a Kind of layers that train on top of a frozen weight. Their values are stored as they are.
type Based interface {
	Kind
	// Base is how the frozen weight is kept.
	Base() Quantization
}

// Layout is what a layer is made of.
type Layout struct {
	Arrays []Spec
	Work   int // multiply-adds for one row of x
}

// Spec declares one array. One that is neither frozen nor an index is a parameter, which trains.
type Spec struct {
	Name  string // after the layer's: "down.weight"
	Shape []int
	Init  Init

	Rounds bool         // [[model.linear]] quantize stores its values in few bits
	Packs  bool         // and the operator reads them so: they need no other form in memory
	Frozen bool         // a weight that does not train
	Steady bool         // a parameter that weight decay leaves alone
	Stored Quantization // of a frozen weight: how it is kept; block 0: quant_block, else as many values as are usual

	Places int    // not 0: an index of Shape[0] distinct ascending numbers below Places, 32-bit integers
	Atoms  *Atoms // not nil: an index of atoms, without memory
}

// size is the number of elements of a parameter or of a frozen weight.
func (a Spec) size() int { return tensor.Shape(a.Shape).TotalSize() }

func (a Spec) isIndex() bool { return a.Places != 0 || a.Atoms != nil }

// Weights are the arrays of a layer's layout, bound to a graph, by name.
type Weights map[string]Weight

// Array is the content of one array of a layer, to be read.
type Array struct {
	Shape []int
	Data  any // []float32 or []float64; of places []int32, of atoms []uint8
}

// Float64s returns a copy of the values.
func (a Array) Float64s() []float64 {
	if x, ok := a.Data.([]float64); ok {
		return append([]float64(nil), x...)
	}
	x := a.Data.([]float32)
	return widen(make([]float64, len(x)), x)
}

// Kinds are the representations that come with this package, in the order in which messages name them.
func Kinds() []configs.Choice[Kind] {
	return []configs.Choice[Kind]{
		{Name: "dense", New: func() Kind { return Dense{} }},
		{Name: "low_rank", New: func() Kind { return LowRank{} }},
		{Name: "sltrain", New: func() Kind { return SLTrain{} }},
		{Name: "dense_sparse", New: func() Kind { return defaultDenseSparse() }},
		{Name: "lora", New: func() Kind { return LoRA{} }},
	}
}

// As is the choice of k, which must be of one of Kinds.
func As(k Kind) configs.OneOf[Kind] {
	for _, c := range Kinds() {
		if reflect.TypeOf(c.New()) == reflect.TypeOf(k) {
			return configs.OneOf[Kind]{Name: c.Name, Of: k}
		}
	}
	panic(fmt.Sprintf("nn: %T is not one of Kinds", k))
}

// bind makes or finds an array of the layer b.Name(""); init is for those that start as whoever builds the layer says.
func (b *Builder) bind(a Spec, init Init) Weight {
	if a.Init.given {
		a.Init = init
	}
	switch {
	case a.Places != 0:
		b.Index(a.Name, a.Shape[0], func(r *rng.Source) []int32 { return choose(r, a.Shape[0], a.Places) })
	case a.Atoms != nil:
		b.atoms(a.Name, a.Atoms)
	case a.Frozen:
		b.base(a)
	case a.Steady:
		return b.Steady(a.Name, a.Init, a.Shape...)
	default:
		return b.Weight(a.Name, a.Init, a.Shape...)
	}
	return Weight{b.Name(a.Name), a.Shape, b}
}

// check panics if the shape of W does not suit the layer's kind.
func (l Layer) check(b *Builder) {
	if k, ok := l.Rule.Of.(Fitted); ok {
		if want := k.Fits(l.In, l.Out); want != "" {
			panic(&op.ShapeError{Op: l.Rule.Name, What: b.Name("weight"), Got: tensor.Shape{l.Out, l.In}, Want: want})
		}
	}
}
