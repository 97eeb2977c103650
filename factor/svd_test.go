package factor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"sparrow/kernel"
)

// svdTolerance is the promise: 1e-12 of the largest singular value.
const svdTolerance = 1e-12

// checkSVD fails unless d is an orthonormal decomposition of a to svdTolerance.
func checkSVD(t *testing.T, a *Matrix, d *SVD) {
	t.Helper()
	r := min(a.Rows, a.Cols)
	if d.U.Rows != a.Rows || d.U.Cols != r || d.Vt.Rows != r || d.Vt.Cols != a.Cols || len(d.S) != r {
		t.Fatalf("%d x %d: U is %d x %d, Vt %d x %d, %d values", a.Rows, a.Cols, d.U.Rows, d.U.Cols, d.Vt.Rows, d.Vt.Cols, len(d.S))
	}
	if off := offIdentity(d.U.Transpose()); !(off < svdTolerance/10) {
		t.Errorf("U is orthonormal to %g", off)
	}
	if off := offIdentity(d.Vt); !(off < svdTolerance/10) {
		t.Errorf("V is orthonormal to %g", off)
	}
	for i, s := range d.S {
		if !(s >= 0) || i > 0 && s > d.S[i-1] {
			t.Fatalf("singular value %d is %g, before it %g", i, s, d.S[max(i-1, 0)])
		}
	}
	if d.S[0] == 0 {
		return
	}
	e := exponentOf(d.S[0])
	left, target := d.U.Clone(), a.Clone()
	s := make([]float64, r)
	for i := range s {
		s[i] = math.Ldexp(d.S[i], -e)
	}
	target.scaleExp(-e)
	scaleCols(left, s)
	product := left.Mul(d.Vt)
	kernel.Axpy(-1, product.Data, target.Data)
	if off := target.Norm() / s[0]; !(off < svdTolerance) {
		t.Errorf("%d x %d: ||A - U S Vt|| is %g of the largest value", a.Rows, a.Cols, off)
	}
}

// withValues returns Q1 diag(s) Q2 for random orthogonal factors.
func withValues(rows, cols int, value func(i int) float64) (*Matrix, []float64) {
	r := min(rows, cols)
	u, v := random(r, rows, 2), random(r, cols, 3)
	orthonormalise(u)
	orthonormalise(v)
	s := make([]float64, r)
	for i := range s {
		s[i] = value(i)
	}
	left := u.Transpose()
	scaleCols(left, s)
	return left.Mul(v), s
}

var spectra = []struct {
	name  string
	value func(i int) float64
}{
	{"flat", func(int) float64 { return 1 }},
	{"pairs", func(i int) float64 { return float64(int(50 - i/2)) }},
	{"slow", func(i int) float64 { return 1 / (1 + float64(i)/20) }},
	{"to 1e-20", func(i int) float64 { return math.Pow(10, -float64(i)/5) }},
	{"to 1e-6", func(i int) float64 { return math.Pow(10, -float64(i)/16) }},
	{"one large", func(i int) float64 { return map[bool]float64{true: 1, false: 1e-9}[i == 0] }},
	{"rank three", func(i int) float64 { return math.Max(0, float64(3-i)) }},
	{"step", func(i int) float64 { return map[bool]float64{true: 1, false: 1e-5}[i < 40] }},
}

func TestThinSVD(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {2, 2}, {33, 33}, {100, 100}, {70, 130}, {130, 70}, {97, 301}} {
		for _, spectrum := range spectra {
			t.Run(fmt.Sprintf("%dx%d/%s", size[0], size[1], spectrum.name), func(t *testing.T) {
				a, want := withValues(size[0], size[1], spectrum.value)
				d, err := ThinSVD(context.Background(), a, nil)
				if err != nil {
					t.Fatal(err)
				}
				checkSVD(t, a, d)
				for i, s := range d.S {
					if math.Abs(s-want[i]) > svdTolerance*want[0] {
						t.Errorf("value %d is %g, want %g", i, s, want[i])
					}
				}
			})
		}
	}
}

// Zero, constants, unit rows, and every scale that float64 has.
func TestThinSVDHostile(t *testing.T) {
	fill := func(rows, cols int, f func(i, j int) float64) *Matrix {
		m := NewMatrix(rows, cols)
		for i := range m.Data {
			m.Data[i] = f(i/cols, i%cols)
		}
		return m
	}
	scaled := func(x float64) *Matrix {
		m := random(40, 60, 5)
		for i := range m.Data {
			m.Data[i] *= x
		}
		return m
	}
	for name, a := range map[string]*Matrix{
		"zero":           NewMatrix(50, 70),
		"zero square":    NewMatrix(64, 64),
		"zero 1x1":       NewMatrix(1, 1),
		"ones":           fill(60, 40, func(int, int) float64 { return 1 }),
		"one element":    fill(30, 30, func(i, j int) float64 { return map[bool]float64{true: -3}[i == 7 && j == 2] }),
		"identity":       fill(80, 80, func(i, j int) float64 { return map[bool]float64{true: 1}[i == j] }),
		"zero rows":      fill(50, 90, func(i, j int) float64 { return float64(i%2) * math.Sin(float64(i*90+j)) }),
		"Hilbert":        fill(60, 60, func(i, j int) float64 { return 1 / float64(i+j+1) }),
		"1e150":          scaled(1e150),
		"1e-150":         scaled(1e-150),
		"1e300":          scaled(1e300),
		"1e-300":         scaled(1e-300),
		"denormal":       scaled(1e-312),
		"mixed scales":   fill(40, 40, func(i, j int) float64 { return math.Pow(10, float64(15*(i-20))) * math.Sin(float64(i*40+j)) }),
		"Vandermonde":    fill(40, 40, func(i, j int) float64 { return math.Pow(float64(i)/40, float64(j)) }),
		"triangle":       fill(90, 90, func(i, j int) float64 { return map[bool]float64{true: 1}[i >= j] }),
		"opposite signs": fill(2, 2, func(i, j int) float64 { return float64(1 - 2*((i+j)%2)) }),
	} {
		t.Run(name, func(t *testing.T) {
			before := a.Clone()
			d, err := ThinSVD(context.Background(), a, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range before.Data {
				if a.Data[i] != before.Data[i] {
					t.Fatal("the input was changed")
				}
			}
			checkSVD(t, a, d)
		})
	}
}

func TestSVDErrors(t *testing.T) {
	bad := func(v float64) *Matrix {
		m := random(3, 4, 1)
		m.Data[6] = v
		return m
	}
	for _, tc := range []struct {
		name string
		a    *Matrix
		want error
		text string
	}{
		{"NaN", bad(math.NaN()), ErrNotFinite, "element (1, 2) is NaN"},
		{"infinity", bad(math.Inf(-1)), ErrNotFinite, "element (1, 2) is -Inf"},
		{"nil", nil, ErrShape, "no matrix"},
		{"empty", NewMatrix(0, 3), ErrShape, "0 x 3"},
		{"short", &Matrix{2, 3, make([]float64, 5)}, ErrShape, "2 x 3 with 5 values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, call := range map[string]func() error{
				"thin":      func() error { _, err := ThinSVD(context.Background(), tc.a, nil); return err },
				"truncated": func() error { _, err := TruncatedSVD(context.Background(), tc.a, 1, nil); return err },
				"randomized": func() error {
					_, err := RandomizedSVD(context.Background(), tc.a, RandomizedConfig{Rank: 1}, nil)
					return err
				},
				"weighted": func() error { _, err := WeightedSVD(context.Background(), tc.a, 1, Weights{}, nil); return err },
			} {
				err := call()
				if !errors.Is(err, tc.want) || !contains(err, tc.text) {
					t.Errorf("%s: got %v, want %v with %q", name, err, tc.want, tc.text)
				}
			}
		})
	}
	for _, rank := range []int{0, -1, 4} {
		if _, err := TruncatedSVD(context.Background(), random(3, 5, 1), rank, nil); !errors.Is(err, ErrShape) {
			t.Errorf("rank %d of 3 x 5: got %v", rank, err)
		}
	}
}

// Equal bytes for any number of threads.
func TestSVDThreads(t *testing.T) {
	defer kernel.SetThreads(0)
	a, _ := withValues(200, 260, spectra[4].value)
	var first *SVD
	for _, threads := range []int{1, 2, 3} {
		kernel.SetThreads(threads)
		d, err := ThinSVD(context.Background(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = d
			continue
		}
		for name, pair := range map[string][2][]float64{"U": {first.U.Data, d.U.Data}, "S": {first.S, d.S}, "Vt": {first.Vt.Data, d.Vt.Data}} {
			for i, v := range pair[0] {
				if pair[1][i] != v {
					t.Fatalf("%d threads: %s[%d] is %v, with one %v", threads, name, i, pair[1][i], v)
				}
			}
		}
	}
}

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
