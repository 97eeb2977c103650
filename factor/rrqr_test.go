package factor

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// smooth returns a [k, b] matrix with orthonormal rows: the right singular vectors of mixtures of k smooth spectra, as the bands of
// an image have them. Features crowd at short wavelengths, as those of minerals and plants do.
func smooth(k, b int, seed uint64) *Matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	spectra := NewMatrix(k, b)
	for i := range k {
		for range 3 {
			u := r.Float64()
			centre, width, height := u*u*float64(b), float64(b)*(0.03+0.2*u*r.Float64()), 0.2+r.Float64()
			for c := range b {
				d := (float64(c) - centre) / width
				spectra.Row(i)[c] += height * math.Exp(-d*d)
			}
		}
	}
	d, err := ThinSVD(context.Background(), spectra, nil)
	if err != nil {
		panic(err)
	}
	return d.Vt
}

func condition(t *testing.T, m *Matrix) float64 {
	t.Helper()
	d, err := ThinSVD(context.Background(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.S[0] / d.S[len(d.S)-1]
}

// The paper's choice of bands: E = V (V[b])⁻¹ has E[b] = I, no entry above f, and a better condition than bands at equal distances.
func TestStrongRRQRBands(t *testing.T) {
	const f = 1.2
	better := 0
	for seed := range uint64(200) {
		k, b := 3+int(seed%6), 40+int(seed)
		v := smooth(k, b, seed)
		s, err := StrongRRQR(context.Background(), v, k, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		s = s.Sorted()
		if !slices.IsSorted(s.Index) || s.Rank != k {
			t.Fatalf("seed %d: bands %v of rank %d, want %d in ascending order", seed, s.Index, s.Rank, k)
		}
		if got := s.Largest(); got > f*(1+1e-12) {
			t.Errorf("seed %d: largest coefficient %v, want at most %v", seed, got, f)
		}
		for i, band := range s.Index {
			for j := range k {
				want := 0.0
				if i == j {
					want = 1
				}
				if got := s.Coeff.Row(j)[band]; got != want {
					t.Fatalf("seed %d: coefficient (%d, %d) is %v, want %v", seed, j, band, got, want)
				}
			}
		}
		if back := s.errorOf(v); back > 1e-9 {
			t.Errorf("seed %d: a full rank leaves an error of %v", seed, back)
		}
		equal := make([]int, k)
		for i := range equal {
			equal[i] = (2*i + 1) * b / (2 * k)
		}
		if condition(t, v.Columns(s.Index)) < condition(t, v.Columns(equal)) {
			better++
		}
	}
	if better < 190 {
		t.Errorf("RRQR is better conditioned than equal distances in %d of 200 cases, want at least 190", better)
	}
}

// The choice depends on the space alone: V and R V with R orthogonal give the same bands and coefficients.
func TestStrongRRQRRotation(t *testing.T) {
	for seed := range uint64(20) {
		v := smooth(5, 120, seed)
		q := random(5, 5, seed+50)
		orthonormalise(q)
		a, err := StrongRRQR(context.Background(), v, 5, 1.2, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := StrongRRQR(context.Background(), q.Mul(v), 5, 1.2, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, b = a.Sorted(), b.Sorted()
		if !slices.Equal(a.Index, b.Index) {
			t.Fatalf("seed %d: bands %v, after a rotation %v", seed, a.Index, b.Index)
		}
		for i, x := range a.Coeff.Data {
			if d := math.Abs(x - b.Coeff.Data[i]); d > 1e-10 {
				t.Fatalf("seed %d: coefficient %d differs by %v", seed, i, d)
			}
		}
	}
}

// Theorem 3.2 of Gu and Eisenstat on random, graded and Kahan's matrices, and the identity of error and coefficients.
func TestStrongRRQRBounds(t *testing.T) {
	graded := random(30, 24, 5)
	for i := range graded.Rows {
		for c := range graded.Row(i) {
			graded.Row(i)[c] *= math.Pow(0.5, float64(c))
		}
	}
	for name, a := range map[string]*Matrix{
		"tall": random(40, 20, 1), "wide": random(12, 50, 2), "graded": graded, "kahan": kahan(40, 0.285),
		"tiny": scaled(random(10, 10, 3), 1e-200), "huge": scaled(random(10, 10, 3), 1e200),
	} {
		for _, k := range []int{1, 3, 8, min(a.Rows, a.Cols) - 1} {
			const f = 1.1
			s, err := StrongRRQR(context.Background(), a, k, f, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := s.Largest(); got > f*(1+1e-9) {
				t.Errorf("%s, %d columns: largest coefficient %v, want at most %v", name, k, got, f)
			}
			d, err := ThinSVD(context.Background(), a, nil)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := ThinSVD(context.Background(), a.Columns(s.Index), nil)
			if err != nil {
				t.Fatal(err)
			}
			bound := math.Sqrt(1 + f*f*float64(k*(a.Cols-k)))
			for i, v := range kept.S {
				if v*bound < d.S[i]*(1-1e-9) {
					t.Errorf("%s, %d columns: singular value %d of the columns is %v, want at least %v", name, k, i, v, d.S[i]/bound)
				}
			}
			direct := s.errorOf(a)
			if math.Abs(direct-s.Error) > 1e-9*a.Norm() {
				t.Errorf("%s, %d columns: error %v, computed directly %v", name, k, s.Error, direct)
			}
			if best := (&Matrix{Rows: 1, Cols: len(d.S) - k, Data: d.S[k:]}).Norm(); s.Error > best*bound*(1+1e-9) {
				t.Errorf("%s, %d columns: error %v, want at most %v", name, k, s.Error, best*bound)
			}
		}
	}
}

// kahan is the matrix on which column pivoting alone chooses badly: it takes the columns as they stand.
func kahan(n int, c float64) *Matrix {
	a, s, scale := NewMatrix(n, n), math.Sqrt(1-c*c), 1.0
	for i := range n {
		a.Row(i)[i] = scale * (1 + 1e-10*float64(n-i)) // so that rounding does not decide the order
		for j := i + 1; j < n; j++ {
			a.Row(i)[j] = -c * scale
		}
		scale *= s
	}
	return a
}

func scaled(a *Matrix, by float64) *Matrix {
	for i := range a.Data {
		a.Data[i] *= by
	}
	return a
}

func TestStrongRRQRSwapsWherePivotsFail(t *testing.T) {
	a := kahan(40, 0.285)
	plain, err := PivotedQR(context.Background(), a, 39, nil)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := StrongRRQR(context.Background(), a, 39, 1.1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain.Largest() < 10 || strong.Swaps == 0 || strong.Largest() > 1.1 || !(strong.Error < plain.Error/10) {
		t.Errorf("pivots: coefficient %v, error %v; strong: %v, %v after %d swaps", plain.Largest(), plain.Error, strong.Largest(), strong.Error, strong.Swaps)
	}
}

// A loop written from the definition: the longest remainder, then it is projected out.
func TestPivotedQROrder(t *testing.T) {
	a := random(15, 30, 9)
	rest := a.Clone()
	var want []int
	for range 8 {
		best, length := -1, 0.0
		for c := range a.Cols {
			sum := 0.0
			for i := range a.Rows {
				sum += rest.Row(i)[c] * rest.Row(i)[c]
			}
			if sum > length {
				best, length = c, sum
			}
		}
		want = append(want, best)
		column := rest.Columns([]int{best})
		for c := range a.Cols {
			dot := 0.0
			for i := range a.Rows {
				dot += column.Data[i] * rest.Row(i)[c]
			}
			for i := range a.Rows {
				rest.Row(i)[c] -= dot / length * column.Data[i]
			}
		}
	}
	s, err := PivotedQR(context.Background(), a, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Index, want) {
		t.Errorf("order %v, want %v", s.Index, want)
	}
}

// Fewer independent columns than wanted: the rest of the choice stands for itself, nothing is infinite.
func TestRRQRDeficient(t *testing.T) {
	a := random(20, 3, 4).Mul(random(3, 25, 5))
	s, err := StrongRRQR(context.Background(), a, 10, 1.2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Rank != 3 || len(s.Index) != 10 || s.Largest() > 1.2 || s.Error > 1e-12*a.Norm() {
		t.Errorf("rank %d, %d columns, largest %v, error %v", s.Rank, len(s.Index), s.Largest(), s.Error)
	}
	zero, err := StrongRRQR(context.Background(), NewMatrix(4, 6), 2, 1.2, nil)
	if err != nil || zero.Rank != 0 || zero.Error != 0 {
		t.Errorf("zeros: %+v, %v", zero, err)
	}
}

func TestInterpolate(t *testing.T) {
	a := random(30, 12, 6)
	s, err := ID(context.Background(), a, 5, 1.2, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	fitted, err := Interpolate(a, s.Index, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range fitted.Coeff.Data { // R11⁻¹ R12 is the least-squares solution
		if math.Abs(v-s.Coeff.Data[i]) > 1e-12 {
			t.Fatalf("coefficient %d is %v, by RRQR %v", i, v, s.Coeff.Data[i])
		}
	}
	const ridge = 0.05
	r, err := ID(context.Background(), a, 5, 1.2, ridge, nil)
	if err != nil {
		t.Fatal(err)
	}
	chosen := a.Columns(r.Index)
	normal := chosen.Transpose().Mul(chosen)
	mean := 0.0
	for i := range 5 {
		mean += normal.Row(i)[i] / 5
	}
	left, right := normal.Mul(r.Coeff), chosen.Transpose().Mul(a)
	for i, v := range right.Data { // (A_Jᵀ A_J + lambda I) T = A_Jᵀ A
		if d := left.Data[i] + ridge*mean*r.Coeff.Data[i] - v; math.Abs(d) > 1e-11 {
			t.Fatalf("normal equation %d is off by %v", i, d)
		}
	}
	full, err := ID(context.Background(), a, 12, 1.2, 0, nil)
	if err != nil || full.Error > 1e-12 || full.errorOf(a) > 1e-12 {
		t.Errorf("all columns: error %v, %v", full, err)
	}
}

func TestSelectionErrors(t *testing.T) {
	a := random(4, 6, 7)
	ctx := context.Background()
	twice := a.Clone()
	for i := range twice.Rows {
		twice.Row(i)[1] = twice.Row(i)[0]
	}
	bad := a.Clone()
	bad.Row(2)[3] = math.NaN()
	for name, c := range map[string]struct {
		run  func() error
		want error
	}{
		"bound":     {func() error { _, err := StrongRRQR(ctx, a, 2, 1, nil); return err }, ErrShape},
		"bound nan": {func() error { _, err := StrongRRQR(ctx, a, 2, math.NaN(), nil); return err }, ErrShape},
		"too many":  {func() error { _, err := PivotedQR(ctx, a, 5, nil); return err }, ErrShape},
		"none":      {func() error { _, err := ID(ctx, a, 0, 1.2, 0, nil); return err }, ErrShape},
		"nan":       {func() error { _, err := PivotedQR(ctx, bad, 2, nil); return err }, ErrNotFinite},
		"twice":     {func() error { _, err := Interpolate(a, []int{1, 1}, 0); return err }, ErrShape},
		"outside":   {func() error { _, err := Interpolate(a, []int{6}, 0); return err }, ErrShape},
		"dependent": {func() error { _, err := Interpolate(twice, []int{0, 1}, 0); return err }, ErrShape},
		"ridge":     {func() error { _, err := Interpolate(a, []int{0}, -1); return err }, ErrWeight},
	} {
		if err := c.run(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := StrongRRQR(stopped, a, 2, 1.2, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
}
