package restore

import (
	"context"
	"fmt"
	"math"

	"sparrow/data/cubes"
	"sparrow/factor"
	"sparrow/kernel"
)

// Blur is how a sensor with pixels scale times as large sees a line of n pixels, as a matrix [n/scale, n]: a Gaussian whose width at
// half its height is scale pixels, as the paper has it, taken at every scale-th pixel. At the ends the line is mirrored.
func Blur(n, scale int) *factor.Matrix {
	sd := float64(scale) / (2 * math.Sqrt(2*math.Ln2))
	reach := int(math.Ceil(4 * sd))
	m := factor.NewMatrix(n/scale, n)
	for i := range m.Rows {
		sum := 0.0
		for d := -reach; d <= reach; d++ {
			w := math.Exp(-float64(d*d) / (2 * sd * sd))
			m.Row(i)[cubes.Mirrored(i*scale+(scale-1)/2+d, n)] += w
			sum += w
		}
		kernel.Scale(1/sum, m.Row(i))
	}
	return m
}

// Cubic interpolates a line between the pixels that Blur takes, as a matrix [n*scale, n]: the cubic convolution of Keys 1981, a = -1/2.
func Cubic(n, scale int) *factor.Matrix {
	m := factor.NewMatrix(n*scale, n)
	for i := range m.Rows {
		at := float64(i-(scale-1)/2) / float64(scale)
		base := int(math.Floor(at))
		for k := base - 1; k <= base+2; k++ {
			x := math.Abs(at - float64(k))
			w := 0.0
			if x < 1 {
				w = (1.5*x-2.5)*x*x + 1
			} else if x < 2 {
				w = ((-0.5*x+2.5)*x-4)*x + 2
			}
			m.Row(i)[min(max(k, 0), n-1)] += w
		}
	}
	return m
}

// sides apply a matrix to the rows and one to the columns of a picture: rows P colsᵀ.
func sides(rows, cols *factor.Matrix, picture []float64) []float64 {
	p := &factor.Matrix{Rows: rows.Cols, Cols: cols.Cols, Data: picture}
	return rows.Mul(p.Mul(cols.Transpose())).Data
}

// sharpen solves for a picture that is seen by two matrices: argmin |y - rows c colsᵀ|² + |c - z|²/s² exactly, since the eigenvectors of
// rowsᵀ rows and colsᵀ cols make the problem diagonal.
type sharpen struct {
	rows, cols           *factor.Matrix
	rowAxes, colAxes     *factor.Matrix // eigenvectors, as rows
	rowAxesT, colAxesT   *factor.Matrix
	rowEnergy, colEnergy []float64
}

func newSharpen(ctx context.Context, rows, cols *factor.Matrix) (*sharpen, error) {
	s := &sharpen{rows: rows, cols: cols}
	var err error
	if s.rowEnergy, s.rowAxes, err = factor.SymmetricEigen(ctx, rows.Transpose().Mul(rows), rows.Cols); err != nil {
		return nil, err
	}
	if s.colEnergy, s.colAxes, err = factor.SymmetricEigen(ctx, cols.Transpose().Mul(cols), cols.Cols); err != nil {
		return nil, err
	}
	s.rowAxesT, s.colAxesT = s.rowAxes.Transpose(), s.colAxes.Transpose()
	return s, nil
}

// solve is the proximal step: (HᵀH + 1/s²) c = Hᵀ y + z/s².
func (s *sharpen) solve(y, z []float64, deviation float64) []float64 {
	right := sides(s.rows.Transpose(), s.cols.Transpose(), y)
	kernel.Axpy(1/(deviation*deviation), z, right)
	x := sides(s.rowAxes, s.colAxes, right)
	w := len(s.colEnergy)
	for i, r := range s.rowEnergy {
		for k, c := range s.colEnergy {
			x[i*w+k] /= max(r, 0)*max(c, 0) + 1/(deviation*deviation)
		}
	}
	return sides(s.rowAxesT, s.colAxesT, x)
}

// enlarge makes each eigenimage larger: blur acts on places and the basis on bands, so that H(C E) = H(C) E. It begins with cubic
// interpolation and alternates the prior and the proximal step.
func enlarge(ctx context.Context, part *cubes.Cube, e *cubes.Eigen, cfg Config, progress Progress) (*cubes.Cube, error) {
	h, w := part.Height*cfg.Scale, part.Width*cfg.Scale
	up, across := Cubic(part.Height, cfg.Scale), Cubic(part.Width, cfg.Scale)
	s, err := newSharpen(ctx, Blur(h, cfg.Scale), Blur(w, cfg.Scale))
	if err != nil {
		return nil, err
	}
	_, plain := cfg.Prior.(None)
	scores := factor.NewMatrix(h*w, e.Scores.Cols)
	for k := range e.Scores.Cols {
		y := column(e.Scores, k)
		c := sides(up, across, y)
		for i, deviation := range deviations(cfg.Steps, 1) {
			if plain {
				break
			}
			z, err := cfg.Prior.Denoise(ctx, c, h, w, deviation)
			if err != nil {
				return nil, fmt.Errorf("restore: component %d: %w", k+1, err)
			}
			c = s.solve(y, z, deviation)
			if i == cfg.Steps-1 {
				c = z
			}
			progress(k*cfg.Steps+i+1, e.Scores.Cols*cfg.Steps)
		}
		setColumn(scores, k, c)
	}
	return cubes.Compose(h, w, scores, e.Basis, e.Sigma), nil
}

// deviations are the noise levels of plug-and-play, falling from twice the noise to 0.7 of it by equal factors.
func deviations(steps int, noise float64) []float64 {
	const high, low = 2, 0.7
	d := make([]float64, steps)
	for i := range d {
		share := 1.0
		if steps > 1 {
			share = float64(i) / float64(steps-1)
		}
		d[i] = noise * high * math.Pow(low/high, share)
	}
	return d
}
