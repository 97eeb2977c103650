package op

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// bagGrain is how many rows of a table or of bags one piece of work has.
const bagGrain = 64

// Bag sums rows of a table by weights: y[n] = Σ_l weights[n,l] W[ids[n,l]]. An id whose weight is 0 is not read.
//
// ids [N*L] integers in [0, V), weights [N, L] an input of the tape's type, w [V, D] -> y [N, D].
// Backward adds weights[n,l] dy[n] to row ids[n,l] of dW, in the order of n and l; a [SparseSink] gets the rows that were read alone.
func Bag(ids, weights *G.Node, w Param) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return bag[float32](ids, weights, w)
	}
	return bag[float64](ids, weights, w)
}

func bag[T kernel.Float](ids, weights *G.Node, w Param) *G.Node {
	vocab, d := matrix("bag", "weight", w.Node)
	n, length := matrix("bag", "weights", weights)
	wantShape("bag", "ids", ids, n*length)
	o := w.tape.operator("bag", tensor.Shape{n, d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		ids, by, w, y := ints(in[0]), data[T](in[1]), data[T](in[2]), data[T](out)
		for i, id := range ids {
			if by[i] != 0 && (id < 0 || id >= vocab) {
				return fmt.Errorf("id %d at position %d, want 0 to %d", id, i, vocab-1)
			}
		}
		kernel.Ranges(n, bagGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row := y[i*d : (i+1)*d]
				clear(row)
				for k := i * length; k < (i+1)*length; k++ {
					if by[k] != 0 {
						kernel.Axpy(by[k], w[ids[k]*d:(ids[k]+1)*d], row)
					}
				}
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := o.tape.operator("bag.grad", tensor.Shape{1})
		var s bagRows[T]
		back.run = func(in []G.Value, _ *tensor.Dense) error {
			ids, by, dy := ints(in[0]), data[T](in[1]), data[T](in[2])
			s.find(ids, by)
			if to := w.sparse(); to != nil {
				s.gather(by, dy, length, d)
				w.uses.delivered = 0
				return to.SparseRows(w.name, s.rows, s.dense(d))
			}
			dst, add := w.open()
			dw := data[T](dst)
			if !add {
				clear(dw)
			}
			kernel.Ranges(len(s.rows), bagGrain, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					s.add(dw[s.rows[r]*d:(s.rows[r]+1)*d], r, by, dy, length, d)
				}
			})
			return w.close()
		}
		return G.Nodes{nil, nil, o.tape.apply(back, in[0], in[1], dy)}
	}
	return w.tape.apply(o, ids, weights, w.Node)
}

// bagRows are the rows of a table that a run has read.
type bagRows[T kernel.Float] struct {
	order  []int // places of ids with a weight, by id and then by place
	rows   []int // distinct ids, ascending
	from   []int // where the places of each begin in order; one more for the end
	values []T   // [len(rows), D]
}

// find lists the rows.
func (s *bagRows[T]) find(ids []int, by []T) {
	s.order, s.rows, s.from = s.order[:0], s.rows[:0], s.from[:0]
	for i := range ids {
		if by[i] != 0 {
			s.order = append(s.order, i)
		}
	}
	slices.SortFunc(s.order, func(a, b int) int {
		if ids[a] != ids[b] {
			return ids[a] - ids[b]
		}
		return a - b
	})
	for k, i := range s.order {
		if k == 0 || ids[s.order[k-1]] != ids[i] {
			s.rows, s.from = append(s.rows, ids[i]), append(s.from, k)
		}
	}
	s.from = append(s.from, len(s.order))
}

// add adds the gradient of row r to dst.
func (s *bagRows[T]) add(dst []T, r int, by, dy []T, length, d int) {
	for _, i := range s.order[s.from[r]:s.from[r+1]] {
		n := i / length
		kernel.Axpy(by[i], dy[n*d:(n+1)*d], dst)
	}
}

// gather computes the gradients of all rows.
func (s *bagRows[T]) gather(by, dy []T, length, d int) {
	s.values = slices.Grow(s.values[:0], len(s.rows)*d)[:len(s.rows)*d]
	clear(s.values)
	kernel.Ranges(len(s.rows), bagGrain, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			s.add(s.values[r*d:(r+1)*d], r, by, dy, length, d)
		}
	})
}

// dense views the gradients as a matrix.
func (s *bagRows[T]) dense(d int) *tensor.Dense {
	if len(s.rows) == 0 {
		return nil
	}
	return tensor.New(tensor.WithShape(len(s.rows), d), tensor.WithBacking(s.values))
}
