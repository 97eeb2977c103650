package compress

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/nn"
)

// ASVD is SVD under the inputs' sizes (Yuan et al. 2023): it minimises ||(W - B) diag(s)|| with s_j = mean |x_j|^alpha.
type ASVD struct {
	Alpha float64
	Floor float64 // added to weights over their mean
}

func newASVD(c Settings) Method { return ASVD{c.Alpha, c.Floor} }

// Needs implements Method.
func (ASVD) Needs() Needs { return Needs{Moments: true} }

// Options implements Method: the ranks at which the factors are smaller than the matrix.
func (m ASVD) Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	return ranks(ctx, t, s, m.decompose)
}

// Linear implements Method.
func (ASVD) Linear(t Target, o Option) (nn.Rule, error) { return lowRank(t, o) }

// Apply implements Method.
func (m ASVD) Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	return truncated(ctx, t, s, o, m.decompose)
}

func (m ASVD) decompose(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error) {
	weights := factor.Weights{Floor: m.Floor, Cols: make([]float64, w.Cols)}
	for j, x := range s.Size {
		weights.Cols[j] = math.Pow(x, 2*m.Alpha)
	}
	return factor.WeightedSVD(ctx, w, rank, weights, nil)
}

// SVDLLM is SVD-LLM's truncation-aware whitening (Wang et al. 2024): it minimises ||(W - B) X|| over the calibration inputs X
// by decomposing W R with R Rᵀ = X Xᵀ and undoing R. R is Q diag(sqrt(lambda)) from the eigenvectors of X Xᵀ; with the
// paper's Cholesky factor the product is the same. Eigenvalues are raised by floor times their mean, so that inputs which
// always depend on each other do no harm.
type SVDLLM struct{ Floor float64 }

func newSVDLLM(c Settings) Method { return SVDLLM{c.Floor} }

// Needs implements Method.
func (SVDLLM) Needs() Needs { return Needs{Moments: true} }

// Options implements Method: the ranks at which the factors are smaller than the matrix.
func (m SVDLLM) Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	return ranks(ctx, t, s, m.decompose)
}

// Linear implements Method.
func (SVDLLM) Linear(t Target, o Option) (nn.Rule, error) { return lowRank(t, o) }

// Apply implements Method.
func (m SVDLLM) Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	return truncated(ctx, t, s, o, m.decompose)
}

func (m SVDLLM) decompose(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error) {
	e, err := factor.ThinSVD(ctx, s.Moment.Square(w.Cols), nil)
	if err != nil {
		return nil, err
	}
	mean := 0.0
	for _, x := range e.S {
		mean += x / float64(len(e.S))
	}
	if mean == 0 {
		return factor.TruncatedSVD(ctx, w, rank, nil) // no input was ever anything but 0
	}
	root := make([]float64, len(e.S))
	for i, x := range e.S {
		root[i] = math.Sqrt(x/mean + m.Floor)
	}
	white := w.Mul(e.U) // [out, in]
	for i := range white.Rows {
		for j, r := range root {
			white.Data[i*white.Cols+j] *= r
		}
	}
	d, err := factor.TruncatedSVD(ctx, white, rank, nil)
	if err != nil {
		return nil, err
	}
	for i := range d.Vt.Rows {
		for j, r := range root {
			d.Vt.Data[i*d.Vt.Cols+j] /= r
		}
	}
	d.Vt = d.Vt.Mul(e.U.Transpose())
	return d, nil
}
