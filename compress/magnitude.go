package compress

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
)

// magnitude keeps of every M weights of an output, those of M inputs in a row, the N largest (N:M sparsity, Mishra et al.
// 2021). It is a baseline: its bytes are those of the values kept and of ceil(log2 M) bits for the place of each, but the
// checkpoint stores the zeros too.
type magnitude struct{ group int }

func (m magnitude) needs() needs { return needs{} }

// kept is how many weights of an output stay.
func (m magnitude) kept(in, n int) int { return in/m.group*n + min(in%m.group, n) }

func (m magnitude) options(_ context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	measure := importanceOf(w, s)
	var out []Option
	for n := 1; n < m.group; n++ {
		params := t.Out * m.kept(t.In, n)
		bytes := valueBytes*params + (params*bits.Len(uint(m.group-1))+7)/8
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
	p := m.prune(w, o.Nonzeros)
	return &Form{
		Linear: nn.LinearConfig{Kind: "dense"},
		Arrays: []checkpoints.Array{{Name: ".weight", Shape: []int{t.Out, t.In}, Data: float32s(p.Data)}},
	}, nil
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
