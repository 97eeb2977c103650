package compress

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/nn"
)

// Magnitude keeps of every M weights of an output, those of M inputs in a row, the N largest (N:M sparsity, Mishra et al.
// 2021). It is a baseline. The layer becomes a dense_sparse one whose blocks are the groups and whose dictionary is the
// identity [M, M], M² values that all groups share: N values of each group and ceil(log2 M) bits for the place of each.
type Magnitude struct{ Group int }

func newMagnitude(c Settings) Method { return Magnitude{c.Group} }

// Needs implements Method.
func (Magnitude) Needs() Needs { return Needs{} }

// GroupSize implements Grouped.
func (m Magnitude) GroupSize() int { return m.Group }

// Linear implements Method.
func (m Magnitude) Linear(t Target, o Option) (nn.Rule, error) {
	if t.In%m.Group != 0 || o.Nonzeros < 1 || o.Nonzeros >= m.Group {
		return nn.Rule{}, fmt.Errorf("%s cannot become %s, groups of %d inputs with %d nonzeros", t.Name, o.Method, m.Group, o.Nonzeros)
	}
	return nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: m.Group, Atoms: m.Group, Nonzeros: []int{o.Nonzeros}, Axis: "in", Shared: true})}, nil
}

// Options implements Method.
func (m Magnitude) Options(_ context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	if t.In%m.Group != 0 {
		return nil, nil, refusef("%s: [compress] group = %d does not divide the %d inputs of [%d, %d]; choose a divisor, or another method for this layer by a [[compress.layer]] table",
			t.Name, m.Group, t.In, t.Out, t.In)
	}
	measure := importanceOf(t.Weight, s)
	var out []Option
	for n := 1; n < m.Group; n++ {
		o := Option{Nonzeros: n}
		linear, err := m.Linear(t, o)
		if err != nil {
			return nil, nil, err
		}
		if t.size(linear).Bytes >= valueBytes*t.DenseParams() {
			break
		}
		o.Loss = measure.of(difference(t.Weight, m.prune(t.Weight, n)))
		out = append(out, o)
	}
	return out, nil, nil
}

// prune sets all but the n largest of each group to 0; of equal ones the first stay.
func (m Magnitude) prune(w *factor.Matrix, n int) *factor.Matrix {
	p := factor.NewMatrix(w.Rows, w.Cols)
	order := make([]int, 0, m.Group)
	for i := range w.Rows {
		for lo := 0; lo < w.Cols; lo += m.Group {
			group := w.Row(i)[lo:min(lo+m.Group, w.Cols)]
			order = order[:0]
			for j := range group {
				order = append(order, j)
			}
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(group[b]), math.Abs(group[a])) })
			for _, j := range order[:min(n, len(order))] {
				p.Data[i*w.Cols+lo+j] = group[j]
			}
		}
	}
	return p
}

// Apply implements Method.
func (m Magnitude) Apply(_ context.Context, t Target, _ *Statistics, o Option) (*Form, error) {
	linear, err := m.Linear(t, o)
	if err != nil {
		return nil, err
	}
	p, n := m.prune(t.Weight, o.Nonzeros), o.Nonzeros
	identity := factor.NewMatrix(m.Group, m.Group)
	for k := range m.Group {
		identity.Data[k*m.Group+k] = 1
	}
	var codes []*factor.Codes
	for lo := 0; lo < t.In; lo += m.Group {
		c := &factor.Codes{Vectors: t.Out, Nonzeros: n, Index: make([]int32, t.Out*n), Values: make([]float64, t.Out*n)}
		for i := range t.Out {
			group, at := p.Row(i)[lo:lo+m.Group], i*n
			spare := n // places for zeros, among the first weights that are 0
			for _, x := range group {
				if x != 0 {
					spare--
				}
			}
			for k, x := range group {
				if x == 0 {
					if spare == 0 {
						continue
					}
					spare--
				}
				c.Index[at], c.Values[at] = int32(k), x
				at++
			}
		}
		codes = append(codes, c)
	}
	return DenseSparseForm([]*factor.Matrix{identity}, codes, linear), nil
}

// crowded is the first group of m weights of an output that has more than n nonzeros; ok is false if there is none.
func crowded(w *factor.Matrix, n, m int) (row, group int, ok bool) {
	for i := range w.Rows {
		for lo := 0; lo < w.Cols; lo += m {
			count := 0
			for _, x := range w.Row(i)[lo:min(lo+m, w.Cols)] {
				if x != 0 {
					count++
				}
			}
			if count > n {
				return i, lo / m, true
			}
		}
	}
	return 0, 0, false
}
