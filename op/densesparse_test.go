package op

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// denseSparseCase is a layer's layout.
type denseSparseCase struct {
	n, vectors, block, atoms int
	nonzeros                 []int
	outputs, shared, bias    bool
	mode                     string
}

func (c denseSparseCase) side() int { return c.block * len(c.nonzeros) }

// in and out are the layer's.
func (c denseSparseCase) in() int {
	if c.outputs {
		return c.vectors
	}
	return c.side()
}

func (c denseSparseCase) out() int { return c.vectors + c.side() - c.in() }

func (c denseSparseCase) String() string {
	return fmt.Sprintf("dense_sparse/%s/%d rows/%d of %d/k%d/%v/outputs=%v/shared=%v/bias=%v",
		c.mode, c.n, c.vectors, c.block, c.atoms, c.nonzeros, c.outputs, c.shared, c.bias)
}

func (c denseSparseCase) rows() int {
	n := 0
	for _, k := range c.nonzeros {
		n += k
	}
	return n
}

// index draws the atoms of every vector, distinct in each block.
func (c denseSparseCase) index() []uint8 {
	r := source()
	index := make([]uint8, c.rows()*c.vectors)
	first := 0
	for _, k := range c.nonzeros {
		for i := range c.vectors {
			chosen := r.Perm(c.atoms)[:k]
			slices.Sort(chosen)
			for t, a := range chosen {
				index[(first+t)*c.vectors+i] = uint8(a)
			}
		}
		first += k
	}
	return index
}

func (c denseSparseCase) subject() subject {
	dictionaries := len(c.nonzeros)
	if c.shared {
		dictionaries = 1
	}
	s := subject{name: c.String(), floats: draws("x", []int{c.n, c.in()}, "dictionary", []int{dictionaries * c.atoms, c.block}, "values", []int{c.rows(), c.vectors})}
	if c.bias {
		s.floats["b"] = normal(source(), c.out())
	}
	index := c.index()
	s.build = func(g *graph) *G.Node {
		x := g.x("x")
		l := DenseSparse{Dictionary: g.p("dictionary"), Values: g.p("values"), Index: index, Nonzeros: c.nonzeros, Atoms: c.atoms, Outputs: c.outputs, Mode: c.mode}
		if c.bias {
			b := g.p("b")
			l.Bias = &b
		}
		return DenseSparseLinear(x, l)
	}
	return s
}

// weight is W [out, in] by its equation, entry by entry.
func (c denseSparseCase) weight(s subject) []float64 {
	w, in := make([]float64, c.out()*c.in()), c.in()
	index, first := c.index(), 0
	for g, k := range c.nonzeros {
		dictionary := s.floats["dictionary"].data
		if !c.shared {
			dictionary = dictionary[g*c.atoms*c.block:]
		}
		for i := range c.vectors {
			for t := range k {
				at := (first+t)*c.vectors + i
				for j := range c.block {
					row, col := i, g*c.block+j
					if c.outputs {
						row, col = col, row
					}
					w[row*in+col] += s.floats["values"].data[at] * dictionary[int(index[at])*c.block+j]
				}
			}
		}
		first += k
	}
	return w
}

// naive is y = x Wᵀ + b.
func (c denseSparseCase) naive(s subject) []float64 {
	w, y := c.weight(s), make([]float64, c.n*c.out())
	for t := range c.n {
		for i := range c.out() {
			if c.bias {
				y[t*c.out()+i] = s.floats["b"].data[i]
			}
			for j := range c.in() {
				y[t*c.out()+i] += s.floats["x"].data[t*c.in()+j] * w[i*c.in()+j]
			}
		}
	}
	return y
}

// denseSparseCases are every side and sharing, in one mode.
func denseSparseCases(mode string) []denseSparseCase {
	var all []denseSparseCase
	for _, outputs := range []bool{false, true} {
		for _, shared := range []bool{false, true} {
			all = append(all,
				denseSparseCase{5, 4, 3, 6, []int{2, 1, 3}, outputs, shared, false, mode},
				denseSparseCase{1, 7, 2, 5, []int{2, 2}, outputs, shared, true, mode},
				denseSparseCase{3, 1, 5, 1, []int{1}, outputs, shared, true, mode})
		}
	}
	return all
}

var denseSparseModes = []string{"materialized", "factored"}

// TestDenseSparse: forward against the equation; gradients of x, D, the values and the bias against finite differences;
// both sides, one dictionary or many, numbers of nonzeros that differ, both modes.
func TestDenseSparse(t *testing.T) {
	for _, mode := range denseSparseModes {
		for _, c := range denseSparseCases(mode) {
			t.Run(c.String(), func(t *testing.T) {
				s := c.subject()
				same(t, "y", s.compile(t, tensor.Float64).result(t).y, c.naive(s), 1e-12)
				checkGradients(t, s)
			})
		}
	}
}

// TestDenseSparseModesAgree: both modes give the same results at sizes with several tasks and tails, in both types.
func TestDenseSparseModesAgree(t *testing.T) {
	for _, dtype := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		tol := map[tensor.Dtype]float64{tensor.Float64: 1e-12, tensor.Float32: float32Tol}[dtype]
		for _, outputs := range []bool{false, true} {
			for _, shared := range []bool{false, true} {
				c := denseSparseCase{9, 501, 16, 100, []int{4, 3, 5, 5, 4, 3, 4, 5, 4, 4, 4, 3, 3}, outputs, shared, true, "materialized"}
				t.Run(fmt.Sprint(dtype, "/", c), func(t *testing.T) {
					want := c.subject().compile(t, dtype).result(t)
					c.mode = "factored"
					sameResult(t, c.subject().compile(t, dtype).result(t), want, tol)
				})
			}
		}
	}
}

// TestDenseSparseChoice: without a mode the choice follows DenseSparsePays. One row of blocks of inputs never forms W, and
// a training batch always does.
func TestDenseSparseChoice(t *testing.T) {
	for _, n := range []int{1, 400} {
		for _, outputs := range []bool{false, true} {
			c := denseSparseCase{n, 24, 4, 8, []int{2, 1, 2}, outputs, true, false, ""}
			want := "dense_sparse.materialized"
			if DenseSparsePays(n, 24, 12, 8, 5, outputs) {
				want = "dense_sparse.factored"
			}
			m := c.subject().compile(t, tensor.Float32)
			if !slices.ContainsFunc(m.tape.ops, func(o *operator) bool { return o.name == want }) {
				t.Errorf("%d rows, outputs %v: no operator %s", n, outputs, want)
			}
		}
	}
	for _, outputs := range []bool{false, true} {
		if !DenseSparsePays(1, 768, 768, 64, 226, outputs) || DenseSparsePays(4096, 768, 768, 64, 226, outputs) {
			t.Errorf("outputs %v: one row of 768 x 768 at 2.8 times fewer bytes should be factored, and 4096 rows not", outputs)
		}
	}
}

// TestDenseSparseShapes: operands that do not fit are named.
func TestDenseSparseShapes(t *testing.T) {
	good := denseSparseCase{5, 4, 3, 6, []int{2, 1, 3}, false, false, true, ""}
	for want, change := range map[string]func(s *subject){
		"x has shape (5, 8), want (5, 9)":             func(s *subject) { s.floats["x"] = normal(source(), 5, 8) },
		"values has shape (5, 4), want (6, 4)":        func(s *subject) { s.floats["values"] = normal(source(), 5, 4) },
		"dictionary has shape (12, 3), want 6 atoms":  func(s *subject) { s.floats["dictionary"] = normal(source(), 12, 3) },
		"indices has shape (24), want 30, as many as": func(s *subject) { s.floats["values"] = normal(source(), 6, 5) },
		"bias has shape (5), want (4)":                func(s *subject) { s.floats["b"] = normal(source(), 5) },
	} {
		s := good.subject()
		change(&s)
		if text := panicOf(func() { s.tryCompile(tensor.Float64, true) }); !strings.Contains(text, want) {
			t.Errorf("panic %q, want %q", text, want)
		}
	}
}
