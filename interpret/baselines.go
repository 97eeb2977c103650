package interpret

import (
	"cmp"
	"context"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// moments are means and deviations of the values of vectors.
func moments(a factor.Rows) (mean, deviation []float64, norm float64, err error) {
	n, width := a.Size()
	mean, square := make([]float64, width), make([]float64, width)
	err = blocks(a, func(_ int, b *factor.Matrix) {
		for i := range b.Rows {
			sum := 0.0
			for j, x := range b.Row(i) {
				mean[j] += x
				square[j] += x * x
				sum += x * x
			}
			norm += math.Sqrt(sum)
		}
	})
	for j := range mean {
		mean[j] /= float64(n)
		square[j] = math.Sqrt(math.Max(0, square[j]/float64(n)-mean[j]*mean[j]))
	}
	return mean, square, norm / float64(n), err
}

// blocks reads vectors block by block.
func blocks(a factor.Rows, f func(at int, b *factor.Matrix)) error {
	const rows = 1024
	n, _ := a.Size()
	for at := 0; at < n; at += rows {
		b, err := a.Block(at, min(rows, n-at))
		if err != nil {
			return err
		}
		f(at, b)
	}
	return nil
}

// projected are max(0, (a - mean) zᵀ), the coefficients of directions that are no parts of a sum.
func projected(a factor.Rows, z *factor.Matrix, mean []float64) (*factor.Matrix, error) {
	n, width := a.Size()
	g := factor.NewMatrix(n, z.Rows)
	offset := make([]float64, z.Rows)
	for k := range offset {
		offset[k] = kernel.Dot(mean, z.Row(k))
	}
	err := blocks(a, func(at int, b *factor.Matrix) {
		part := &factor.Matrix{Rows: b.Rows, Cols: z.Rows, Data: g.Data[at*z.Rows : (at+b.Rows)*z.Rows]}
		kernel.Gemm(false, true, b.Rows, z.Rows, width, 1, b.Data, width, z.Data, width, 0, part.Data, z.Rows)
		for i := range part.Rows {
			for k := range offset {
				part.Row(i)[k] = math.Max(0, part.Row(i)[k]-offset[k])
			}
		}
	})
	return g, err
}

// unit scales a vector to norm 1, unless it is 0.
func unit(x []float64) {
	if norm := math.Sqrt(kernel.Dot(x, x)); norm > 0 {
		kernel.Scale(1/norm, x)
	}
}

// meanDifferences are, for each feature of a set, the mean of the vectors at its strongest tokens less the mean of all.
func meanDifferences(a factor.Rows, s *Set, mean []float64) (*factor.Matrix, error) {
	_, width := a.Size()
	z := factor.NewMatrix(len(s.Features), width)
	wanted := map[int][]int{}
	for k := range s.Features {
		for _, i := range s.Features[k].strongest {
			wanted[i] = append(wanted[i], k)
		}
	}
	err := blocks(a, func(at int, b *factor.Matrix) {
		for i := range b.Rows {
			for _, k := range wanted[at+i] {
				kernel.Axpy(1/float64(len(s.Features[k].strongest)), b.Row(i), z.Row(k))
			}
		}
	})
	for k := range s.Features {
		kernel.Axpy(-1, mean, z.Row(k))
		unit(z.Row(k))
	}
	return z, err
}

// varied are the neurons that vary most.
func varied(deviation []float64, k int) *factor.Matrix {
	order := make([]int, len(deviation))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(deviation[b], deviation[a]) })
	z := factor.NewMatrix(min(k, len(order)), len(deviation))
	for i := range z.Rows {
		z.Row(i)[order[i]] = 1
	}
	return z
}

// components are the first principal components.
func components(ctx context.Context, a factor.Rows, mean []float64, k int, seed uint64) (*factor.Matrix, error) {
	n, width := a.Size()
	k = min(k, n, width)
	z := factor.NewMatrix(min(k+8, n, width), width)
	rng.FillNormal(rng.New(seed, "interpret/pca", 0), z.Data, 0, 1)
	for range 4 { // powers of the covariance, on a subspace
		d, err := factor.ThinSVD(ctx, z, nil)
		if err != nil {
			return nil, err
		}
		next := factor.NewMatrix(z.Rows, width)
		err = blocks(a, func(_ int, b *factor.Matrix) {
			c := b.Clone()
			for i := range c.Rows {
				kernel.Axpy(-1, mean, c.Row(i))
			}
			y := factor.NewMatrix(c.Rows, z.Rows)
			kernel.Gemm(false, true, c.Rows, z.Rows, width, 1, c.Data, width, d.Vt.Data, width, 0, y.Data, z.Rows)
			kernel.Gemm(true, false, z.Rows, width, c.Rows, 1, y.Data, z.Rows, c.Data, width, 1, next.Data, width)
		})
		if err != nil {
			return nil, err
		}
		z = next
	}
	d, err := factor.ThinSVD(ctx, z, nil)
	if err != nil {
		return nil, err
	}
	return &factor.Matrix{Rows: k, Cols: width, Data: d.Vt.Data[:k*width]}, nil
}

// drawn are directions with as many entries as a feature has, in places and of sizes drawn by chance.
func drawn(k, width, keep int, seed uint64) *factor.Matrix {
	r := rng.New(seed, "interpret/random", 0)
	z := factor.NewMatrix(k, width)
	values := make([]float64, keep)
	for i := range k {
		rng.FillNormal(r, values, 0, 1)
		for _, x := range values {
			at := r.Intn(width)
			for z.Row(i)[at] != 0 {
				at = r.Intn(width)
			}
			z.Row(i)[at] = x
		}
		unit(z.Row(i))
	}
	return z
}
