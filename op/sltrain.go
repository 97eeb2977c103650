package op

import (
	"fmt"
	"math"
	"unsafe"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: N rows, I inputs, O outputs, R rank, Z nonzeros.

// SparseLowRank describes the weight W = scale B A + S of SLTrain (Han et al.
// 2024, section 3): B is up, A is down, S has its nonzeros at fixed places.
type SparseLowRank struct {
	Down, Up, Values Param
	Places           []int32 // of the values in S, row*I + column, distinct and ascending; nil: the graph is planned, never run
	Bias             *Param
	Scale            float64 // alpha / R
	LearnedScale     *Param  // s [1]: the factor is tanh(s) in place of Scale; nil: constant
	Mode             string  // "materialized", "factored", or "" for FactoredPays's choice
}

// What the work of factored mode costs in multiply-adds of a dense product, so
// that FactoredPays predicts the times of BenchmarkSparseLowRank: within a tenth
// at widths from 512 to 2048, too high for narrower layers, which fit the
// caches.
const (
	scatteredCost = 16  // of a value: one each of y, dx and dS, at a fifth of the speed
	transposeCost = 100 // of an element of x and of y: both are transposed in the forward and in the backward pass, and so is dx
)

// FactoredPays is the rule by which a layer's mode follows from its shape alone:
// it compares the costs of both in multiply-adds.
func FactoredPays(n, in, out, rank, nonzeros int) bool {
	materialized := 3*n*in*out + 4*rank*in*out // y, dx, dW; W twice, dB, dA
	factored := (3*rank+transposeCost)*n*(in+out) + scatteredCost*n*nonzeros
	return factored < materialized
}

// SparseLowRankLinear is y = x (scale B A + S)ᵀ + b.
//
// x [N, I], A [R, I], B [O, R], values [Z], b [O] -> y [N, O].
//
// In "materialized" mode W is formed in a scratch that all layers share, once in
// the forward and once in the backward pass, and never kept; with dW = dyᵀ x,
// dB = scale dW Aᵀ, dA = scale Bᵀ dW, and the values' gradient is dW at their
// places. "factored" never forms W: y = scale (x Aᵀ) Bᵀ + x Sᵀ, and the values'
// gradients are sampled products of dy and x. Both give the same results to
// rounding.
func SparseLowRankLinear(x *G.Node, l SparseLowRank) *G.Node {
	if l.Down.tape.Dtype == tensor.Float32 {
		return sparseLowRank[float32](x, l)
	}
	return sparseLowRank[float64](x, l)
}

// sparseLayer is a SparseLowRank with its sizes.
type sparseLayer[T kernel.Float] struct {
	SparseLowRank
	n, in, out, rank int
	sparse           *sparsity // of factored mode, made by the first run: places may be loaded after the graph is built
	hidden           *buffer   // x Aᵀ, kept by factored mode
}

const (
	iX, iDown, iUp, iValues = 0, 1, 2, 3
)

func sparseLowRank[T kernel.Float](x *G.Node, l SparseLowRank) *G.Node {
	n, in := matrix("sltrain", "x", x)
	rank := l.Down.Shape()[0]
	out := l.Up.Shape()[0]
	wantShape("sltrain", "down", l.Down.Node, rank, in)
	wantShape("sltrain", "up", l.Up.Node, out, rank)
	nonzeros := l.Values.Shape()[0]
	if l.Places != nil {
		wantShape("sltrain", "values", l.Values.Node, len(l.Places))
	}
	if l.Mode == "" {
		l.Mode = "materialized"
		if FactoredPays(n, in, out, rank, nonzeros) {
			l.Mode = "factored"
		}
	}
	t := l.Down.tape
	s := &sparseLayer[T]{SparseLowRank: l, n: n, in: in, out: out, rank: rank}
	operands := []*G.Node{x, l.Down.Node, l.Up.Node, l.Values.Node}
	for _, p := range []*Param{l.LearnedScale, l.Bias} {
		if p != nil {
			operands = append(operands, p.Node)
		}
	}
	o := t.operator("sltrain."+l.Mode, tensor.Shape{n, out})
	switch l.Mode {
	case "materialized":
		scratch := t.buffer(out * in)
		o.aux = []*buffer{scratch}
		o.run = func(v []G.Value, y *tensor.Dense) error {
			w := floats[T](scratch)
			s.materialize(w, v)
			linearForward(s.reads(), data[T](y), data[T](v[iX]), w, s.bias(v), n)
			return nil
		}
	case "factored":
		s.hidden = t.buffer(n * rank)
		t.held += 4 * (out + 1) // of its sparsity
		work := t.buffer((in + out) * min(n, tokenBlock))
		o.aux = []*buffer{s.hidden, work}
		o.run = func(v []G.Value, y *tensor.Dense) error {
			if s.sparse == nil {
				s.sparse = newSparsity(l.Places, out, in)
			}
			s.factoredForward(v, data[T](y), floats[T](s.hidden), floats[T](work))
			return nil
		}
	default:
		panic(fmt.Sprintf("op: sltrain: no mode %q", l.Mode))
	}
	o.grad = func(o *operator, v G.Nodes, y, dy *G.Node) G.Nodes {
		dx := s.backward(o, v, dy)
		grads := make(G.Nodes, len(v))
		for i := range grads {
			grads[i] = dx
		}
		return grads
	}
	return t.apply(o, operands...)
}

// reads is the precision of the layer's products.
func (s *sparseLayer[T]) reads() kernel.Precision { return s.Down.tape.Precision }

// params are the layer's parameters in the order of the operands.
func (s *sparseLayer[T]) params() []*Param {
	return []*Param{&s.Down, &s.Up, &s.Values, s.LearnedScale, s.Bias}
}

// factor is the present scale of B A.
func (s *sparseLayer[T]) factor(v []G.Value) T {
	if s.LearnedScale == nil {
		return T(s.Scale)
	}
	return T(math.Tanh(float64(data[T](v[iValues+1])[0])))
}

func (s *sparseLayer[T]) bias(v []G.Value) []T {
	if s.Bias == nil {
		return nil
	}
	return data[T](v[iValues+1+btoi(s.LearnedScale != nil)])
}

// materialize forms W [O, I].
func (s *sparseLayer[T]) materialize(w []T, v []G.Value) {
	kernel.GemmAs(s.reads(), false, false, s.out, s.in, s.rank, s.factor(v), data[T](v[iUp]), s.rank, data[T](v[iDown]), s.in, 0, w, s.in)
	values := data[T](v[iValues])
	kernel.Ranges(len(values), elementGrain, func(lo, hi int) { kernel.ScatterAdd(w, s.Places[lo:hi], values[lo:hi]) })
}

// backward adds the operator that computes all gradients of the layer.
func (s *sparseLayer[T]) backward(o *operator, v G.Nodes, dy *G.Node) *G.Node {
	t := o.tape
	wantX := o.wants(iX)
	operands := append(G.Nodes{}, v...)
	iDy := len(operands)
	operands = append(operands, dy)
	shape, inPlace := tensor.Shape{1}, []int(nil)
	iAcc := len(operands)
	if wantX {
		shape, inPlace = tensor.Shape{s.n, s.in}, []int{iX}
		if acc := takePending(v[iX]); acc != nil {
			operands = append(operands, acc)
			inPlace = []int{iAcc}
		}
	}
	back := t.operator("sltrain."+s.Mode+".grad", shape, inPlace...)
	part := t.buffer(s.out*s.rank + s.in*s.rank) // dB and dA before scaling and adding
	var work, table *buffer
	if s.Mode == "materialized" {
		work = t.buffer(s.out * s.in)
		back.aux = []*buffer{part, work}
	} else {
		work = t.buffer((s.in+s.out)*min(s.n, tokenBlock) + s.n*s.rank)
		back.aux = []*buffer{part, work, s.hidden}
		if wantX {
			table = t.buffer(columnTable(s.in, s.Values.Shape()[0])) // as integers
			back.aux = append(back.aux, table)
		}
	}
	back.run = func(v []G.Value, out *tensor.Dense) error {
		g := &sparseGrad[T]{v: v, dy: data[T](v[iDy]), work: floats[T](work), dUp: floats[T](part)[:s.out*s.rank], dDown: floats[T](part)[s.out*s.rank:]}
		if wantX {
			g.dx = data[T](out)
			if table != nil {
				g.table = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(floats[T](table)))), table.n)
			}
			if iAcc < len(v) {
				g.add = true
				assign(g.dx, data[T](v[iAcc]))
			}
		}
		if s.Mode == "materialized" {
			s.materializedBackward(g)
		} else {
			s.factoredBackward(g)
		}
		s.deliver(g)
		return closeAll(s.params()...)
	}
	return t.apply(back, operands...)
}

// sparseGrad is one execution of the backward operator.
type sparseGrad[T kernel.Float] struct {
	v          []G.Value
	dy, dx     []T // dx is nil if it is not wanted
	add        bool
	work       []T
	table      []int32 // of factored mode, if dx is wanted
	dUp, dDown []T     // of scale B A without the scale: dW Aᵀ, Bᵀ dW
}

func (s *sparseLayer[T]) materializedBackward(g *sparseGrad[T]) {
	x, down, up := data[T](g.v[iX]), data[T](g.v[iDown]), data[T](g.v[iUp])
	// dW first: dx may take the place of x.
	dw := g.work
	kernel.GemmAs(s.reads(), true, false, s.out, s.in, s.n, 1, g.dy, s.out, x, s.in, 0, dw, s.in)
	kernel.GemmAs(s.reads(), false, true, s.out, s.rank, s.in, 1, dw, s.in, down, s.in, 0, g.dUp, s.rank)
	kernel.GemmAs(s.reads(), true, false, s.rank, s.in, s.out, 1, up, s.rank, dw, s.in, 0, g.dDown, s.in)
	if s.Values.wanted() {
		dst, add := s.Values.open()
		dv := data[T](dst)
		kernel.Ranges(len(dv), elementGrain, func(lo, hi int) { kernel.Gather(dv[lo:hi], dw, s.Places[lo:hi], add) })
	}
	if g.dx != nil {
		w := g.work
		s.materialize(w, g.v)
		kernel.GemmAs(s.reads(), false, false, s.n, s.in, s.out, 1, g.dy, s.out, w, s.in, betaOf[T](g.add), g.dx, s.in)
	}
}

// deliver hands the gradients of A, B, scale and bias to their sinks.
func (s *sparseLayer[T]) deliver(g *sparseGrad[T]) {
	factor := s.factor(g.v)
	give := func(p Param, part []T) {
		if !p.wanted() {
			return
		}
		dst, add := p.open()
		d := data[T](dst)
		kernel.Ranges(len(d), elementGrain, func(lo, hi int) {
			if !add {
				clear(d[lo:hi])
			}
			kernel.Axpy(factor, part[lo:hi], d[lo:hi])
		})
	}
	give(s.Down, g.dDown)
	give(s.Up, g.dUp)
	if p := s.LearnedScale; p != nil && p.wanted() {
		// y depends on s through tanh(s) B A only: ds = (1 - tanh²) sum(dW Aᵀ o B).
		dst, add := p.open()
		d := data[T](dst)
		if !add {
			d[0] = 0
		}
		d[0] += (1 - factor*factor) * kernel.Dot(g.dUp, data[T](g.v[iUp]))
	}
	if p := s.Bias; p != nil && p.wanted() {
		dst, add := p.open()
		kernel.ColSum(data[T](dst), g.dy, s.n, s.out, add)
	}
}
