package factor

import (
	"context"
	"errors"
	"math"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// TestEncode: the coefficients are those that active sets find, and what is left is what a loop over the definition gives.
func TestEncode(t *testing.T) {
	r := rng.New(3, "factor/encode", 0)
	z, x := NewMatrix(9, 17), NewMatrix(1300, 17)
	rng.FillNormal(r, z.Data, 0, 1)
	rng.FillNormal(r, x.Data, 0, 2)
	g, left, err := Encode(context.Background(), z, &streamed{of: x}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := NonNegative(context.Background(), x, z, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.Rows {
		e := 0.0
		for c := range x.Cols {
			v := x.Row(i)[c]
			for k := range z.Rows {
				v -= g.Row(i)[k] * z.Row(k)[c]
			}
			e += v * v
		}
		if !near(g.Row(i), want.Row(i), 1e-4) || math.Abs(e-left[i]) > 1e-9 {
			t.Fatalf("vector %d: coefficients %v, want %v; %g is left, want %g", i, g.Row(i), want.Row(i), left[i], e)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	if _, _, err := Encode(context.Background(), NewMatrix(2, 3), NewMatrix(4, 5), nil); !errors.Is(err, ErrShape) {
		t.Errorf("other lengths: %v", err)
	}
	x := NewMatrix(4, 3)
	x.Data[2] = math.NaN()
	if _, _, err := Encode(context.Background(), NewMatrix(2, 3), x, nil); !errors.Is(err, ErrNotFinite) {
		t.Errorf("not a number: %v", err)
	}
	g, left, err := Encode(context.Background(), NewMatrix(2, 3), NewMatrix(4, 3), nil)
	if err != nil || kernel.Sum(g.Data) != 0 || kernel.Sum(left) != 0 {
		t.Errorf("zeros: %v, %v, %v", g, left, err)
	}
}
