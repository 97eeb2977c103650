package compress

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/factor"
	"sparrow/nn"
)

// magnitude keeps of every M weights of an output, those of M inputs in a row, the N largest (N:M sparsity, Mishra et al.
// 2021). It is a baseline. The layer becomes a dense_sparse one whose blocks are the groups and whose dictionary is the
// identity [M, M], M² values that all groups share: N values of each group and ceil(log2 M) bits for the place of each.
type magnitude struct{ group int }

func (m magnitude) needs() needs { return needs{} }

// linear is the [[model.linear]] table of a layer that keeps n of each group, without its name.
func (m magnitude) linear(n int) nn.LinearConfig {
	return nn.LinearConfig{Kind: "dense_sparse", Block: m.group, Atoms: m.group, Nonzeros: []int{n}, Axis: "in", Shared: true}
}

func (m magnitude) options(_ context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	if t.In%m.group != 0 {
		return nil, nil, refusef("%s: [compress] group = %d does not divide the %d inputs of [%d, %d]; choose a divisor, or another method for this layer by a [[compress.layer]] table",
			t.Name, m.group, t.In, t.Out, t.In)
	}
	measure := importanceOf(w, s)
	var out []Option
	for n := 1; n < m.group; n++ {
		l := nn.Layer{Kind: "dense_sparse", Out: t.Out, In: t.In, Config: m.linear(n)}
		params, bytes := l.Parameters(), l.StoredBytes(tensor.Float32)
		if bytes >= valueBytes*t.DenseParams() {
			break
		}
		out = append(out, Option{Method: "magnitude", Nonzeros: n, Params: params, Bytes: bytes, Loss: measure.of(difference(w, m.prune(w, n)))})
	}
	return append(out, dense(t)), nil, nil
}

// prune sets all but the n largest of each group to 0; of equal ones the first stay.
func (m magnitude) prune(w *factor.Matrix, n int) *factor.Matrix {
	p := factor.NewMatrix(w.Rows, w.Cols)
	order := make([]int, 0, m.group)
	for i := range w.Rows {
		for lo := 0; lo < w.Cols; lo += m.group {
			group := w.Row(i)[lo:min(lo+m.group, w.Cols)]
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

func (m magnitude) apply(_ context.Context, t Target, w *factor.Matrix, _ *Statistics, o Option) (*Form, error) {
	p, n := m.prune(w, o.Nonzeros), o.Nonzeros
	identity := factor.NewMatrix(m.group, m.group)
	for k := range m.group {
		identity.Data[k*m.group+k] = 1
	}
	var codes []*factor.Codes
	for lo := 0; lo < t.In; lo += m.group {
		c := &factor.Codes{Vectors: t.Out, Nonzeros: n, Index: make([]int32, t.Out*n), Values: make([]float64, t.Out*n)}
		for i := range t.Out {
			group, at := p.Row(i)[lo:lo+m.group], i*n
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
	return denseSparseForm([]*factor.Matrix{identity}, codes, m.linear(n)), nil
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
