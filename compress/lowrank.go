package compress

import (
	"context"
	"fmt"
	"math"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
)

// lowRank replaces W by up down, up [out, r] and down [r, in], from a decomposition W = U diag(S) Vt whose first r terms
// are its best under the method's weighting. The layer then has r (in + out) values.
type lowRank struct {
	name      string
	uses      needs
	decompose decomposition
}

// decomposition returns the first rank terms under a weighting.
type decomposition func(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error)

func (l lowRank) needs() needs { return l.uses }

// options are the ranks at which the factors are smaller than the matrix.
func (l lowRank) options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	d, err := l.decompose(ctx, w, s, min(t.Out, t.In))
	if err != nil {
		return nil, nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	tails := importanceOf(w, s).tails(d)
	var out []Option
	for r := 1; r <= len(d.S) && r*(t.In+t.Out) < t.DenseParams(); r++ {
		n := r * (t.In + t.Out)
		out = append(out, Option{Method: l.name, Rank: r, Params: n, Bytes: valueBytes * n, Loss: tails[r]})
	}
	return append(out, dense(t)), d, nil
}

func (l lowRank) apply(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, o Option) (*Form, error) {
	d, err := l.decompose(ctx, w, s, o.Rank)
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	up, down := d.Split()
	return lowRankForm(up, down), nil
}

// lowRankForm is the layer y = up (down x), whose scale alpha/r is 1.
func lowRankForm(up, down *factor.Matrix) *Form {
	return &Form{
		Linear: nn.LinearConfig{Kind: "low_rank", Rank: up.Cols},
		Arrays: []checkpoints.Array{
			{Name: ".down.weight", Shape: []int{down.Rows, down.Cols}, Data: float32s(down.Data)},
			{Name: ".up.weight", Shape: []int{up.Rows, up.Cols}, Data: float32s(up.Data)},
		},
	}
}

// plainSVD minimises ||W - B||.
func plainSVD(ctx context.Context, w *factor.Matrix, _ *Statistics, rank int) (*factor.SVD, error) {
	return factor.TruncatedSVD(ctx, w, rank, nil)
}

// fisherSVD is FWSVD (Hsu et al. 2022, equations 3 to 5): it minimises ||diag(a) (W - B) diag(b)|| where a² is the Fisher
// information of the outputs and b² that of the inputs, or 1. The paper weighs what it calls rows, the inputs.
func fisherSVD(cfg Settings) decomposition {
	return func(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error) {
		return factor.WeightedSVD(ctx, w, rank, fisherWeights(cfg, s), nil)
	}
}

// fisherWeights are the sides that row asks for.
func fisherWeights(cfg Settings, s *Statistics) factor.Weights {
	weights := factor.Weights{Floor: cfg.Floor}
	if cfg.Row != "in" {
		weights.Rows = s.Rows
	}
	if cfg.Row != "out" {
		weights.Cols = s.Cols
	}
	return weights
}

// scaledSVD is ASVD (Yuan et al. 2023): it minimises ||(W - B) diag(s)|| with s_j = mean |x_j|^alpha.
func scaledSVD(cfg Settings) decomposition {
	return func(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error) {
		weights := factor.Weights{Floor: cfg.Floor, Cols: make([]float64, w.Cols)}
		for j, x := range s.Size {
			weights.Cols[j] = math.Pow(x, 2*cfg.Alpha)
		}
		return factor.WeightedSVD(ctx, w, rank, weights, nil)
	}
}

// whitenedSVD is SVD-LLM's truncation-aware whitening (Wang et al. 2024): it minimises ||(W - B) X|| over the calibration
// inputs X by decomposing W R with R Rᵀ = X Xᵀ and undoing R. R is Q diag(sqrt(lambda)) from the eigenvectors of X Xᵀ;
// with the paper's Cholesky factor the product is the same. Eigenvalues are raised by floor times their mean, so that
// inputs which always depend on each other do no harm.
func whitenedSVD(cfg Settings) decomposition {
	return func(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error) {
		e, err := factor.ThinSVD(ctx, &factor.Matrix{Rows: w.Cols, Cols: w.Cols, Data: s.Moment}, nil)
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
			root[i] = math.Sqrt(x/mean + cfg.Floor)
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
}

// entrywise is TFWSVD (Hua et al. 2022): FWSVD, then alternating least squares under the Fisher information of each weight.
// What it predicts is its start's loss.
type entrywise struct {
	lowRank
	cfg Settings
}

func (e entrywise) apply(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, o Option) (*Form, error) {
	weights := &factor.Matrix{Rows: t.Out, Cols: t.In, Data: s.Entries}
	d, err := factor.EntrywiseLowRank(ctx, w, weights, factor.EntrywiseConfig{Rank: o.Rank, Sweeps: e.cfg.Sweeps, Floor: e.cfg.Floor}, nil)
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	return lowRankForm(d.Up, d.Down), nil
}
