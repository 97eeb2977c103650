package cubes

import (
	"context"
	"math"
	"slices"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// noisy adds white noise of the given deviations.
func noisy(c *Cube, sigma func(b int) float64, seed uint64) *Cube {
	d := c.Clone()
	z := make([]float64, len(d.Data))
	rng.FillNormal(rng.New(seed, "test/noise", 0), z, 0, 1)
	for i := range d.Data {
		d.Data[i] += sigma(i%d.Bands) * z[i]
	}
	return d
}

// Blind noise is within 3% of the truth in every band, equal or not, and the rank of a planted cube is found.
func TestNoiseAndRank(t *testing.T) {
	clean := Synthetic(Scene{Height: 100, Width: 100, Bands: 120, Materials: 5, Seed: 4})
	for name, sigma := range map[string]func(b int) float64{
		"30":       func(int) float64 { return 30.0 / 255 },
		"10 to 70": func(b int) float64 { return (10 + float64(b*37%61)) / 255 },
	} {
		y := noisy(clean, sigma, 7)
		got, err := Noise(context.Background(), y)
		if err != nil {
			t.Fatal(err)
		}
		for b, s := range got {
			if off := s/sigma(b) - 1; math.Abs(off) > 0.03 {
				t.Errorf("%s: noise of band %d is off by %.1f%%", name, b, 100*off)
			}
		}
		e, err := Decompose(context.Background(), y, got, 0)
		if err != nil {
			t.Fatal(err)
		}
		if e.Basis.Rows != 5 {
			t.Errorf("%s: rank %d, want 5; energies %.3v, edge %.3f", name, e.Basis.Rows, e.Values[:8], Edge(y.Pixels(), y.Bands))
		}
	}
}

// Without noise the first components are the cube; in the last ones noise has variance 1.
func TestDecompose(t *testing.T) {
	clean := Synthetic(Scene{Height: 40, Width: 30, Bands: 50, Materials: 4, Seed: 2})
	flat := slices.Repeat([]float64{0.1}, 50)
	e, err := Decompose(context.Background(), clean, flat, 4)
	if err != nil {
		t.Fatal(err)
	}
	back := Compose(40, 30, e.Scores, e.Basis, flat)
	for i, v := range clean.Data {
		if math.Abs(v-back.Data[i]) > 1e-9 {
			t.Fatalf("value %d is %v, want %v", i, back.Data[i], v)
		}
	}
	y := noisy(clean, func(int) float64 { return 0.1 }, 3)
	e, err = Decompose(context.Background(), y, flat, 40)
	if err != nil {
		t.Fatal(err)
	}
	last := 0.0
	for i := range e.Scores.Rows {
		last += e.Scores.Row(i)[30] * e.Scores.Row(i)[30] / float64(e.Scores.Rows)
	}
	if math.Abs(last-e.Values[30]) > 1e-9 || math.Abs(last-0.9) > 0.2 {
		t.Errorf("energy of component 31 is %v by its image, %v by its eigenvalue, want both and near 0.9", last, e.Values[30])
	}
	for _, bad := range [][]float64{flat[:3], slices.Repeat([]float64{0}, 50), slices.Repeat([]float64{math.NaN()}, 50)} {
		if _, err := Decompose(context.Background(), y, bad, 3); err == nil {
			t.Errorf("noise %v: no error", bad[:3])
		}
	}
}

func TestSyntheticIsInRange(t *testing.T) {
	a := Synthetic(Scene{Height: 20, Width: 31, Bands: 17, Materials: 3, Seed: 5})
	b := Synthetic(Scene{Height: 20, Width: 31, Bands: 17, Materials: 3, Seed: 5})
	if !slices.Equal(a.Data, b.Data) || !kernel.AllFinite(a.Data) || slices.Min(a.Data) < 0.04 || slices.Max(a.Data) > 0.96 {
		t.Errorf("not equal, or out of range: %v to %v", slices.Min(a.Data), slices.Max(a.Data))
	}
}
