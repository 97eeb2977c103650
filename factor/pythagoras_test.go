package factor

import (
	"math"
	"testing"

	"sparrow/kernel"
)

// What is left of a matrix is measured without forming it, also when the right factor is not the best one, and is left to
// the direct way where little remains or the left vectors are not orthonormal.
func TestPythagoras(t *testing.T) {
	a := random(40, 70, 3)
	u := random(12, 40, 4)
	orthonormalise(u)
	b := u.Mul(a)
	v, s := random(12, 70, 5), make([]float64, 12)
	orthonormalise(v)
	for i := range s {
		s[i] = 2 + float64(i)
	}
	left := u.Clone()
	scaleRows(left, s)
	want := distance(a, left.Transpose().Mul(v), nil, nil)
	trace := a.Norm() * a.Norm()
	got, known, err := pythagoras(background(), trace, u.Data, b.Clone(), s, v)
	if err != nil || !known || math.Abs(got-want) > 1e-12*want {
		t.Errorf("got %v, known %t (%v), want %v", got, known, err, want)
	}
	bent := u.Clone()
	kernel.Scale(1+1e-9, bent.Row(3))
	if _, known, err := pythagoras(background(), trace, bent.Data, b.Clone(), s, v); err != nil || known {
		t.Errorf("left vectors that are not orthonormal: known %t (%v)", known, err)
	}
	// B and nothing else: all of the matrix is explained.
	whole := u.Transpose().Mul(b)
	unit, norms := b.Clone(), make([]float64, 12)
	for i := range norms {
		norms[i] = math.Sqrt(kernel.Dot(b.Row(i), b.Row(i)))
		kernel.Scale(1/norms[i], unit.Row(i))
	}
	if _, known, err := pythagoras(background(), whole.Norm()*whole.Norm(), u.Data, b.Clone(), norms, unit); err != nil || known {
		t.Errorf("nothing is left: known %t (%v)", known, err)
	}
}
