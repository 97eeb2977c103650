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
