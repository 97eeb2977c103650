package factor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// distance returns ||diag(row) (a - b) diag(col)||_F.
func distance(a, b *Matrix, row, col []float64) float64 {
	d := a.Clone()
	kernel.Axpy(-1, b.Data, d.Data)
	if row != nil {
		scaleRows(d, row)
	}
	if col != nil {
		scaleCols(d, col)
	}
	return d.Norm()
}

// tail is the energy left out.
func tail(s []float64, rank int) float64 {
	sum := 0.0
	for _, v := range s[rank:] {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func TestTruncatedSVD(t *testing.T) {
	for _, size := range [][2]int{{1, 7}, {60, 60}, {40, 150}, {150, 40}} {
		for _, spectrum := range spectra {
			a, s := withValues(size[0], size[1], spectrum.value)
			for _, rank := range []int{1, (len(s) + 2) / 3, len(s)} {
				t.Run(fmt.Sprintf("%dx%d/%s/%d", size[0], size[1], spectrum.name, rank), func(t *testing.T) {
					d, err := TruncatedSVD(context.Background(), a, rank, nil)
					if err != nil {
						t.Fatal(err)
					}
					if d.Rank() != rank || d.U.Cols != rank || d.Vt.Rows != rank {
						t.Fatalf("rank %d, U %d x %d, Vt %d x %d", d.Rank(), d.U.Rows, d.U.Cols, d.Vt.Rows, d.Vt.Cols)
					}
					for i, v := range d.S {
						if math.Abs(v-s[i]) > 1e-11*s[0] {
							t.Errorf("value %d is %g, want %g", i, v, s[i])
						}
					}
					for name, x := range map[string]*Matrix{"U": d.U.Transpose(), "V": d.Vt} {
						if off := offIdentity(x); off > 1e-13 {
							t.Errorf("%s is orthonormal to %g", name, off)
						}
					}
					norm := a.Norm()
					got, want := distance(a, d.Product(), nil, nil), tail(s, rank)
					if math.Abs(got-want) > 2*truncatedExcess*norm {
						t.Errorf("error %g, the discarded energy is %g", got, want)
					}
					if math.Abs(d.Error-got) > 2*truncatedExcess*norm || d.Bound > d.Error || d.Bound < d.Error-2*truncatedExcess*norm {
						t.Errorf("error %g is reported as %g, bound %g", got, d.Error, d.Bound)
					}
				})
			}
		}
	}
}

func TestRandomizedSVD(t *testing.T) {
	for _, spectrum := range spectra {
		for _, size := range [][2]int{{90, 120}, {120, 50}} {
			t.Run(fmt.Sprintf("%s/%dx%d", spectrum.name, size[0], size[1]), func(t *testing.T) {
				a, s := withValues(size[0], size[1], spectrum.value)
				const rank = 15
				d, err := RandomizedSVD(context.Background(), a, RandomizedConfig{Rank: rank, Power: 2, Seed: 1}, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, best := distance(a, d.Product(), nil, nil), tail(s, rank)
				if math.Abs(d.Error-got) > 1e-10*a.Norm() {
					t.Errorf("error %g is reported as %g", got, d.Error)
				}
				if d.Bound > best+1e-6*a.Norm() {
					t.Errorf("bound %g is above the best error %g", d.Bound, best)
				}
				if got > 1.05*best+1e-10*a.Norm() {
					t.Errorf("error %g, the best is %g", got, best)
				}
				for name, x := range map[string]*Matrix{"U": d.U.Transpose(), "V": d.Vt} {
					if off := offIdentity(x); off > 1e-13 {
						t.Errorf("%s is orthonormal to %g", name, off)
					}
				}
			})
		}
	}
	t.Run("more power is better", func(t *testing.T) {
		a, _ := withValues(120, 120, spectra[2].value)
		last := math.Inf(1)
		for power := range 4 {
			d, err := RandomizedSVD(context.Background(), a, RandomizedConfig{Rank: 20, Oversample: 5, Power: power, Seed: 3}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d.Error >= last {
				t.Errorf("power %d: error %g, with one less %g", power, d.Error, last)
			}
			last = d.Error
		}
	})
	if _, err := RandomizedSVD(context.Background(), random(4, 4, 1), RandomizedConfig{Rank: 2, Power: -1}, nil); !errors.Is(err, ErrShape) {
		t.Errorf("power -1: got %v", err)
	}
}

func weights(n int, seed uint64) []float64 {
	w := make([]float64, n)
	r := rng.New(seed, "factor/weights", 0)
	for i := range w {
		w[i] = math.Pow(10, 4*r.Float64()-2)
	}
	return w
}

func TestWeightedSVD(t *testing.T) {
	a, _ := withValues(60, 80, spectra[2].value)
	for _, tc := range []struct {
		name string
		w    Weights
	}{
		{"columns", Weights{Cols: weights(80, 1)}},
		{"rows", Weights{Rows: weights(60, 2)}},
		{"both", Weights{Rows: weights(60, 3), Cols: weights(80, 4)}},
		{"zeros", Weights{Cols: append(make([]float64, 30), weights(50, 5)...)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			row, col, err := tc.w.Scales(60, 80)
			if err != nil {
				t.Fatal(err)
			}
			full, err := WeightedSVD(context.Background(), a, 60, tc.w, nil)
			if err != nil {
				t.Fatal(err)
			}
			if off := distance(a, full.Product(), nil, nil); off > 1e-9*a.Norm() {
				t.Errorf("full rank is off by %g", off)
			}
			const rank = 12
			d, err := WeightedSVD(context.Background(), a, rank, tc.w, nil)
			if err != nil {
				t.Fatal(err)
			}
			best := distance(a, d.Product(), row, col)
			if want := tail(full.S, rank); math.Abs(best-want) > 1e-9*want || math.Abs(d.Error-want) > 1e-9*want {
				t.Errorf("weighted error %g, reported %g, discarded energy %g", best, d.Error, want)
			}
			plain, err := TruncatedSVD(context.Background(), a, rank, nil)
			if err != nil {
				t.Fatal(err)
			}
			if distance(a, plain.Product(), row, col) <= best {
				t.Error("plain SVD is as good under the weights")
			}
			if distance(a, d.Product(), nil, nil) <= distance(a, plain.Product(), nil, nil) {
				t.Error("weighted SVD is as good without the weights")
			}
			// No product of that rank nearby is better.
			up, down := d.Split()
			for seed := range uint64(20) {
				for _, size := range []float64{1e-1, 1e-3} {
					u, v := up.Clone(), down.Clone()
					kernel.Axpy(size, random(u.Rows, u.Cols, 100+seed).Data, u.Data)
					kernel.Axpy(size, random(v.Rows, v.Cols, 200+seed).Data, v.Data)
					if got := distance(a, u.Mul(v), row, col); got < best*(1-1e-12) {
						t.Fatalf("a perturbation by %g has weighted error %g, the result %g", size, got, best)
					}
				}
			}
			scaled := tc.w
			scaled.Cols = append([]float64(nil), tc.w.Cols...)
			for i := range scaled.Cols {
				scaled.Cols[i] *= 1024
			}
			if len(scaled.Cols) == 0 {
				scaled.Cols = nil
			}
			again, err := WeightedSVD(context.Background(), a, rank, scaled, nil)
			if err != nil {
				t.Fatal(err)
			}
			if off := distance(again.Product(), d.Product(), nil, nil); off > 1e-9 {
				t.Errorf("scaling all weights moved the result by %g", off)
			}
		})
	}
	t.Run("equal weights", func(t *testing.T) {
		ones := make([]float64, 80)
		for i := range ones {
			ones[i] = 7
		}
		d, err := WeightedSVD(context.Background(), a, 9, Weights{Cols: ones}, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := TruncatedSVD(context.Background(), a, 9, nil)
		if err != nil {
			t.Fatal(err)
		}
		if off := distance(d.Product(), plain.Product(), nil, nil); off > 1e-10 {
			t.Errorf("differs from plain SVD by %g", off)
		}
	})
	for _, tc := range []struct {
		name string
		w    Weights
		want error
		text string
	}{
		{"negative", Weights{Cols: append(make([]float64, 79), -1)}, ErrWeight, "column weight 79 is -1"},
		{"NaN", Weights{Rows: append(make([]float64, 59), math.NaN())}, ErrWeight, "row weight 59 is NaN"},
		{"short", Weights{Cols: make([]float64, 60)}, ErrShape, "60 column weights for 80"},
		{"floor", Weights{Floor: -1}, ErrWeight, "the floor is -1"},
	} {
		if _, err := WeightedSVD(context.Background(), a, 3, tc.w, nil); !errors.Is(err, tc.want) || !contains(err, tc.text) {
			t.Errorf("%s: got %v, want %v with %q", tc.name, err, tc.want, tc.text)
		}
	}
	if r, c := (Weights{Rows: []float64{0, 1, 2, 0}, Cols: []float64{1, 1e-12}}).Floored(); r != 2 || c != 1 {
		t.Errorf("floored: %d rows and %d columns, want 2 and 1", r, c)
	}
}
