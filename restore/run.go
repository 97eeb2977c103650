package restore

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/data/cubes"
	"sparrow/factor"
)

// Run restores a cube. It reads the cube and the config alone.
func Run(ctx context.Context, y *cubes.Cube, cfg Config, progress Progress) (*Result, error) {
	if err := cfg.check(y); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	if cfg.Task == Inpaint {
		return inpaint(ctx, y, cfg, progress)
	}
	live, left := alive(y)
	if len(live) == 0 {
		return nil, fmt.Errorf("%w: all %d bands are constant; want one that varies", ErrConfig, y.Bands)
	}
	part := y
	if len(left) > 0 {
		part = y.Select(live)
		cfg.Rank = min(cfg.Rank, len(live))
	}
	sigma, blind, err := noiseOf(ctx, part, cfg.Sigma, live)
	if err != nil {
		return nil, err
	}
	e, err := cubes.Decompose(ctx, part, sigma, cfg.Rank)
	if err != nil {
		return nil, err
	}
	r := &Result{Rank: e.Basis.Rows, Blind: blind, Values: e.Values, Edge: cubes.Edge(part.Pixels(), part.Bands), Condition: 1, Left: left}
	var done *cubes.Cube
	switch {
	case cfg.Task == Enlarge:
		done, err = enlarge(ctx, part, e, cfg, progress)
	case cfg.Basis == Bands:
		done, err = denoiseBands(ctx, part, e, cfg.Prior, r, progress)
	default:
		done, err = denoiseEigen(ctx, part, e, cfg.Prior, progress)
	}
	if err != nil {
		return nil, err
	}
	r.finish(y, part, done, live, sigma)
	for i, b := range r.Chosen {
		r.Chosen[i] = live[b]
	}
	return r, nil
}

// alive are the bands that vary, and those that do not.
func alive(y *cubes.Cube) (live, left []int) {
	left = y.Constant()
	for b := range y.Bands {
		if !slices.Contains(left, b) {
			live = append(live, b)
		}
	}
	return live, left
}

// noiseOf is the noise of the live bands, given or estimated.
func noiseOf(ctx context.Context, part *cubes.Cube, given []float64, live []int) (sigma []float64, blind bool, err error) {
	if given == nil {
		sigma, err = cubes.Noise(ctx, part)
		return sigma, true, err
	}
	return spread(given, live), false, nil
}

// spread gives each live band its deviation.
func spread(given []float64, live []int) []float64 {
	sigma := make([]float64, len(live))
	for i, b := range live {
		sigma[i] = given[0]
		if len(given) > 1 {
			sigma[i] = given[b]
		}
	}
	return sigma
}

// denoiseEigen has the prior take noise of deviation 1 out of each eigenimage.
func denoiseEigen(ctx context.Context, part *cubes.Cube, e *cubes.Eigen, p Prior, progress Progress) (*cubes.Cube, error) {
	scores := factor.NewMatrix(e.Scores.Rows, e.Scores.Cols)
	for k := range e.Scores.Cols {
		clean, err := p.Denoise(ctx, column(e.Scores, k), part.Height, part.Width, 1)
		if err != nil {
			return nil, fmt.Errorf("restore: component %d: %w", k+1, err)
		}
		setColumn(scores, k, clean)
		progress(k+1, e.Scores.Cols)
	}
	return cubes.Compose(part.Height, part.Width, scores, e.Basis, e.Sigma), nil
}

// denoiseBands has the prior see bands: with V the basis [K, B] and b the chosen bands, A = scores V[:, b] in units of the noise is what
// low rank makes of those bands, X = A E with E = V[:, b]⁻¹ V, and E[:, b] = I. Noise of A's column k has deviation |V[:, b_k]|.
func denoiseBands(ctx context.Context, part *cubes.Cube, e *cubes.Eigen, p Prior, r *Result, progress Progress) (*cubes.Cube, error) {
	chosen, err := factor.StrongRRQR(ctx, e.Basis, e.Basis.Rows, coefficientBound, nil)
	if err != nil {
		return nil, err
	}
	chosen = chosen.Sorted()
	at := e.Basis.Columns(chosen.Index)
	s, err := factor.ThinSVD(ctx, at, nil)
	if err != nil {
		return nil, err
	}
	r.Chosen, r.Largest = chosen.Index, chosen.Largest()
	r.Condition = s.S[0] / s.S[len(s.S)-1]
	pictures := e.Scores.Mul(at) // [n, K]
	for k := range pictures.Cols {
		deviation := 0.0
		for i := range at.Rows {
			deviation += at.Row(i)[k] * at.Row(i)[k]
		}
		clean, err := p.Denoise(ctx, column(pictures, k), part.Height, part.Width, math.Sqrt(deviation))
		if err != nil {
			return nil, fmt.Errorf("restore: band %d: %w", chosen.Index[k]+1, err)
		}
		setColumn(pictures, k, clean)
		progress(k+1, pictures.Cols)
	}
	return cubes.Compose(part.Height, part.Width, pictures, chosen.Coeff, e.Sigma), nil
}

// finish puts the bands that were left out back where they were, and measures what was taken away.
func (r *Result) finish(y, part, done *cubes.Cube, live []int, sigma []float64) {
	r.Sigma, r.Whiteness = make([]float64, y.Bands), make([]float64, y.Bands)
	for b := range y.Bands {
		r.Sigma[b], r.Whiteness[b] = math.NaN(), math.NaN()
	}
	for i, b := range live {
		r.Sigma[b] = sigma[i]
	}
	if done.Pixels() == part.Pixels() {
		for i, b := range live {
			x, z := part.Band(i), done.Band(i)
			mean, square := 0.0, 0.0
			for p, v := range x {
				d := (v - z[p]) / sigma[i]
				mean += d / float64(len(x))
				square += d * d / float64(len(x))
			}
			r.Whiteness[b] = square - mean*mean
		}
	}
	r.Cube = done
	if len(live) < y.Bands {
		r.Cube = cubes.New(done.Height, done.Width, y.Bands)
		for i, b := range live {
			r.Cube.SetBand(b, done.Band(i))
		}
		for _, b := range r.Left {
			r.Cube.SetBand(b, slices.Repeat([]float64{y.Data[b]}, done.Pixels()))
		}
	}
	r.Cube.Wavelengths = y.Wavelengths
}

// column returns a copy of column k.
func column(m *factor.Matrix, k int) []float64 {
	x := make([]float64, m.Rows)
	for i := range x {
		x[i] = m.Row(i)[k]
	}
	return x
}

func setColumn(m *factor.Matrix, k int, x []float64) {
	for i, v := range x {
		m.Row(i)[k] = v
	}
}
