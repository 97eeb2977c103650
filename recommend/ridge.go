package recommend

import "fmt"

// Ridge is a linear map from features to vectors: rows of W [features+1, D], of which the last is what each vector starts from.
type Ridge struct {
	D, Features int
	W           []float64
}

// NewRidge finds the W that minimises Σ |v_i - f_i W|² + λ |W|², the last row not counted in |W|, over those of the vectors v [n, D]
// that use tells. of calls f with the features of i.
func NewRidge(v []float32, d, features int, of func(i int, f func(feature int, x float32)), use func(i int) bool, lambda float64) (*Ridge, error) {
	m := features + 1
	a, b := make([]float64, m*m), make([]float64, m*d)
	for k := range features {
		a[k*m+k] = lambda
	}
	a[features*m+features] = 1e-9 // of no vectors at all it is zero
	type entry struct {
		feature int
		x       float64
	}
	var row []entry
	for i := range len(v) / d {
		if !use(i) {
			continue
		}
		row = append(row[:0], entry{features, 1})
		of(i, func(feature int, x float32) { row = append(row, entry{feature, float64(x)}) })
		for _, p := range row {
			for _, q := range row {
				a[p.feature*m+q.feature] += p.x * q.x
			}
			for k := range d {
				b[p.feature*d+k] += p.x * float64(v[i*d+k])
			}
		}
	}
	if err := cholesky(a, m); err != nil {
		return nil, fmt.Errorf("recommend: ridge = %g: %w", lambda, err)
	}
	column := make([]float64, m)
	for k := range d {
		for j := range m {
			column[j] = b[j*d+k]
		}
		substitute(a, column, m)
		for j := range m {
			b[j*d+k] = column[j]
		}
	}
	return &Ridge{d, features, b}, nil
}

// Vector is that of features.
func (r *Ridge) Vector(dst []float32, of func(f func(feature int, x float32))) {
	sum := append([]float64(nil), r.W[r.Features*r.D:]...)
	of(func(feature int, x float32) {
		for k := range sum {
			sum[k] += float64(x) * r.W[feature*r.D+k]
		}
	})
	for k, x := range sum {
		dst[k] = float32(x)
	}
}

// Gated are factors of a network that weighs the fields of a user.
type Gated struct {
	Factors
	Of func(who Who) ([]float32, error) // the weights, that of his number first; nil: it has none
}
