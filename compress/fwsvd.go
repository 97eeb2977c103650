package compress

import (
	"context"
	"fmt"

	"sparrow/factor"
	"sparrow/nn"
)

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
