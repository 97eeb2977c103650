package compress

import (
	"context"
	"fmt"

	"sparrow/factor"
	"sparrow/nn"
)

// SVD replaces W by up down, up [out, r] and down [r, in], from the singular value decomposition W = U diag(S) Vt, whose
// first r terms are the nearest matrix of rank r: they minimise ||W - B||. The layer then has r (in + out) values.
type SVD struct{}

func newSVD(Settings) Method { return SVD{} }

// Needs implements Method.
func (SVD) Needs() Needs { return Needs{} }

// Fits implements Candidate: any layer has a decomposition.
func (SVD) Fits(Target) bool { return true }

// Options implements Method: the ranks at which the factors are smaller than the matrix.
func (SVD) Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	return ranks(ctx, t, s, plainSVD)
}

// Linear implements Method.
func (SVD) Linear(t Target, o Option) (nn.Rule, error) { return lowRank(t, o) }

// Apply implements Method.
func (SVD) Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	return truncated(ctx, t, s, o, plainSVD)
}

func plainSVD(ctx context.Context, w *factor.Matrix, _ *Statistics, rank int) (*factor.SVD, error) {
	return factor.TruncatedSVD(ctx, w, rank, nil)
}

// decomposition returns the first rank terms of W = U diag(S) Vt that are its best under a weighting.
type decomposition func(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error)

// ranks are the options of a decomposition: the ranks at which the factors are smaller than the matrix.
func ranks(ctx context.Context, t Target, s *Statistics, decompose decomposition) ([]Option, *factor.SVD, error) {
	d, err := decompose(ctx, t.Weight, s, min(t.Out, t.In))
	if err != nil {
		return nil, nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	tails := importanceOf(t.Weight, s).tails(d)
	var out []Option
	for r := 1; r <= len(d.S) && r*(t.In+t.Out) < t.DenseParams(); r++ {
		out = append(out, Option{Rank: r, Loss: tails[r]})
	}
	return out, d, nil
}

// truncated is the form of a decomposition's first terms.
func truncated(ctx context.Context, t Target, s *Statistics, o Option, decompose decomposition) (*Form, error) {
	d, err := decompose(ctx, t.Weight, s, o.Rank)
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	up, down := d.Split()
	return LowRankForm(up, down), nil
}

// lowRank is the table of a layer of the option's rank.
func lowRank(t Target, o Option) (nn.Rule, error) {
	if o.Rank < 1 {
		return nn.Rule{}, fmt.Errorf("%s cannot become %s of rank %d", t.Name, o.Method, o.Rank)
	}
	return nn.Rule{OneOf: nn.As(nn.LowRank{Rank: o.Rank})}, nil
}

// FWSVD is SVD under Fisher weights (Hsu et al. 2022, equations 3 to 5): it minimises ||diag(a) (W - B) diag(b)|| where a² is
// the Fisher information of the outputs and b² that of the inputs, or 1. The paper weighs what it calls rows, the inputs.
type FWSVD struct {
	Row   string  // sides that are weighted: in | out | both
	Floor float64 // added to weights over their mean
}

func newFWSVD(c Settings) Method { return FWSVD{c.Row, c.Floor} }

// Needs implements Method.
func (FWSVD) Needs() Needs { return Needs{Fisher: true} }

// Fits implements Candidate: any layer has a decomposition.
func (FWSVD) Fits(Target) bool { return true }

// Options implements Method: the ranks at which the factors are smaller than the matrix.
func (m FWSVD) Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	return ranks(ctx, t, s, m.decompose)
}

// Linear implements Method.
func (FWSVD) Linear(t Target, o Option) (nn.Rule, error) { return lowRank(t, o) }

// Apply implements Method.
func (m FWSVD) Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	return truncated(ctx, t, s, o, m.decompose)
}

func (m FWSVD) decompose(ctx context.Context, w *factor.Matrix, s *Statistics, rank int) (*factor.SVD, error) {
	return factor.WeightedSVD(ctx, w, rank, fisherWeights(m.Row, m.Floor, s), nil)
}

// fisherWeights are the sides that row asks for.
func fisherWeights(row string, floor float64, s *Statistics) factor.Weights {
	weights := factor.Weights{Floor: floor}
	if row != "in" {
		weights.Rows = s.Rows
	}
	if row != "out" {
		weights.Cols = s.Cols
	}
	return weights
}

// TFWSVD is FWSVD, then alternating least squares under the Fisher information of each weight (Hua et al. 2022). What it
// predicts is its start's loss.
type TFWSVD struct {
	Start  FWSVD
	Sweeps int // at most
}

func newTFWSVD(c Settings) Method { return TFWSVD{FWSVD{c.Row, c.Floor}, c.Sweeps} }

// Needs implements Method.
func (TFWSVD) Needs() Needs { return Needs{Fisher: true, Entries: true} }

// Options implements Method: those of its start.
func (m TFWSVD) Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	return m.Start.Options(ctx, t, s)
}

// Linear implements Method.
func (TFWSVD) Linear(t Target, o Option) (nn.Rule, error) { return lowRank(t, o) }

// Apply implements Method.
func (m TFWSVD) Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	weights := &factor.Matrix{Rows: t.Out, Cols: t.In, Data: s.Entries}
	d, err := factor.EntrywiseLowRank(ctx, t.Weight, weights, factor.EntrywiseConfig{Rank: o.Rank, Sweeps: m.Sweeps, Floor: m.Start.Floor}, nil)
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	return LowRankForm(d.Up, d.Down), nil
}
