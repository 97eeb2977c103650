package cubes

import (
	"context"
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// Shapes: n pixels, B bands, K components.

// Noise estimates the deviation of white noise in each band from the cube alone. It begins with what the other bands do not tell of a
// band, a regression on all others (Bioucas-Dias and Nascimento, "Hyperspectral subspace identification", 2008),
//
//	sigma_b² = 1 / [(Yᵀ Y)⁻¹]_bb / (n - B + 1)
//
// which is too much where the noise of the others hides a band's signal. So it goes on as factor analysis does: the components that stand
// out of the whitened noise are taken away, and of what is left in band b the share 1 - h_b belongs to it, with h_b = sum_k V_kb².
// Bands that others tell wholly have a sigma of nearly 0. Fewer pixels than bands are an error.
func Noise(ctx context.Context, c *Cube) ([]float64, error) {
	n, bands := c.Pixels(), c.Bands
	if n < bands+10 {
		return nil, fmt.Errorf("cubes: noise of %d bands from %d pixels: want at least %d pixels, or give sigma", bands, n, bands+10)
	}
	moments := momentsOf(c.Matrix())
	// Bands in units of their own length, so that weak ones count as strong ones do.
	scale := make([]float64, bands)
	for b := range scale {
		scale[b] = math.Sqrt(max(moments.Row(b)[b], math.SmallestNonzeroFloat32))
	}
	values, vectors, err := factor.SymmetricEigen(ctx, divided(moments, scale), bands)
	if err != nil {
		return nil, err
	}
	floor := values[0] * float64(bands) * 0x1p-50
	sigma := make([]float64, bands)
	for b := range sigma {
		inverse := 0.0
		for k, v := range values {
			x := vectors.Row(k)[b]
			inverse += x * x / max(v, floor)
		}
		sigma[b] = scale[b] / math.Sqrt(inverse*float64(n-bands+1))
	}
	kernel.Scale(1/float64(n), moments.Data)
	for range refinements {
		g := divided(moments, sigma)
		values, vectors, err := factor.SymmetricEigen(ctx, g, bands)
		if err != nil {
			return nil, err
		}
		for b := range sigma {
			signal, leverage := 0.0, 0.0
			for k := 0; k < bands && values[k] > Edge(n, bands); k++ {
				x := vectors.Row(k)[b]
				signal += values[k] * x * x
				leverage += x * x
			}
			if leverage < mostLeverage {
				sigma[b] *= math.Sqrt(max(g.Row(b)[b]-signal, 0.01) / (1 - leverage))
			}
		}
	}
	return sigma, nil
}

const (
	// refinements are enough for a percent: each takes most of the error that is left.
	refinements = 6
	// mostLeverage is where a band nearly is a component of its own, so that what is left of it says little.
	mostLeverage = 0.9
)

// divided returns m_ij / (s_i s_j).
func divided(m *factor.Matrix, s []float64) *factor.Matrix {
	d := m.Clone()
	for i := range d.Rows {
		for j := range d.Cols {
			d.Row(i)[j] /= s[i] * s[j]
		}
	}
	return d
}

// momentsOf returns Yᵀ Y [B, B].
func momentsOf(y *factor.Matrix) *factor.Matrix {
	g := factor.NewMatrix(y.Cols, y.Cols)
	kernel.Gemm(true, false, y.Cols, y.Cols, y.Rows, 1, y.Data, y.Cols, y.Data, y.Cols, 0, g.Data, g.Cols)
	return g
}

// Eigen is a whitened cube in the coordinates of its spectra: Y diag(1/sigma) ~ Scores Basis. Noise in the scores is white, of
// variance 1 and the same in all components, for Basis has orthonormal rows.
type Eigen struct {
	Sigma  []float64      // of each band
	Values []float64      // energy of all B components a pixel, the largest first; noise alone is near 1
	Basis  *factor.Matrix // [K, B]
	Scores *factor.Matrix // [n, K]: a column is an eigenimage
}

// edgeSlack is what the largest eigenvalue of noise may exceed its limit by.
const edgeSlack = 1.02

// Edge is the energy that pure noise of variance 1 stays below, in n pixels and B bands (Marchenko and Pastur's edge): components
// above it are signal.
func Edge(pixels, bands int) float64 {
	root := 1 + math.Sqrt(float64(bands)/float64(pixels))
	return edgeSlack * root * root
}

// Decompose whitens a cube by the noise of its bands and finds its first components: rank of them, or with 0 as many as stand out
// of the noise, at least one.
func Decompose(ctx context.Context, c *Cube, sigma []float64, rank int) (*Eigen, error) {
	if len(sigma) != c.Bands {
		return nil, fmt.Errorf("cubes: %d deviations of noise for %d bands; want one for each", len(sigma), c.Bands)
	}
	most := min(c.Bands, c.Pixels())
	if rank < 0 || rank > most {
		return nil, fmt.Errorf("cubes: rank %d of %d pixels in %d bands; want 1 to %d, or 0 for as many as stand out of the noise", rank, c.Pixels(), c.Bands, most)
	}
	white, err := Whiten(c, sigma)
	if err != nil {
		return nil, err
	}
	g := momentsOf(white)
	kernel.Scale(1/float64(c.Pixels()), g.Data)
	values, vectors, err := factor.SymmetricEigen(ctx, g, c.Bands)
	if err != nil {
		return nil, err
	}
	if rank == 0 {
		rank = 1
		for rank < most && values[rank] > Edge(c.Pixels(), c.Bands) {
			rank++
		}
	}
	e := &Eigen{Sigma: sigma, Values: values, Basis: &factor.Matrix{Rows: rank, Cols: c.Bands, Data: vectors.Data[:rank*c.Bands]}}
	for k := range rank { // a sign that does not hang on rounding: most of the spectrum is above 0
		sum := 0.0
		for _, v := range e.Basis.Row(k) {
			sum += v
		}
		if sum < 0 {
			kernel.Scale(-1, e.Basis.Row(k))
		}
	}
	e.Scores = white.Mul(e.Basis.Transpose())
	return e, nil
}

// Whiten divides each band by the deviation of its noise.
func Whiten(c *Cube, sigma []float64) (*factor.Matrix, error) {
	for b, s := range sigma {
		if !(s > 0) || math.IsInf(s, 0) {
			return nil, fmt.Errorf("cubes: the noise of band %d has deviation %v; want a number above 0", b+1, s)
		}
	}
	w := c.Matrix().Clone()
	for i := range w.Rows {
		for b, s := range sigma {
			w.Row(i)[b] /= s
		}
	}
	return w, nil
}

// Compose is the cube of scores [n, K] in a basis [K, B], with the deviations of noise put back.
func Compose(height, width int, scores, basis *factor.Matrix, sigma []float64) *Cube {
	p := scores.Mul(basis)
	for i := range p.Rows {
		kernel.Mul(p.Row(i), p.Row(i), sigma)
	}
	return &Cube{Height: height, Width: width, Bands: basis.Cols, Data: p.Data}
}
