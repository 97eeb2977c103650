package discover

import (
	"context"

	"sparrow/factor"
	"sparrow/kernel"
)

// Plane is where examples and corners lie when one looks at the simplex from where the corners are farthest apart.
type Plane struct {
	Points  *factor.Matrix // [n, 2]
	Corners *factor.Matrix // [K, 2]
}

// Plane projects q of all examples, and the corners, to the two directions in which corners differ most; with two corners the second
// one is that in which the examples differ most besides.
func (f *Found) Plane(ctx context.Context) (*Plane, error) {
	v := f.Model.vertices()
	center := make([]float64, v.Cols)
	for y := range v.Rows {
		kernel.Axpy(1/float64(v.Rows), v.Row(y), center)
	}
	axes := factor.NewMatrix(2, v.Cols)
	from := centered(v, center)
	for a := range 2 {
		if a == 1 && v.Rows < 3 {
			from = centered(f.Q, center)
		}
		for i := range from.Rows { // what the first axis does not tell
			kernel.Axpy(-kernel.Dot(from.Row(i), axes.Row(0)), axes.Row(0), from.Row(i))
		}
		s, err := factor.TruncatedSVD(ctx, from, 1, nil)
		if err != nil {
			return nil, err
		}
		if s.S[0] > 0 {
			copy(axes.Row(a), s.Vt.Row(0))
		}
	}
	return &Plane{Points: centered(f.Q, center).Mul(axes.Transpose()), Corners: centered(v, center).Mul(axes.Transpose())}, nil
}

func centered(m *factor.Matrix, center []float64) *factor.Matrix {
	c := m.Clone()
	for i := range c.Rows {
		kernel.Axpy(-1, center, c.Row(i))
	}
	return c
}
