package cur

import (
	"math"
	"testing"

	"github.com/sbinet/npyio/npz"

	"sparrow/factor"
)

// golden reads an array of testdata/cur.npz; see the README beside it.
func golden(t *testing.T, name string) []float64 {
	t.Helper()
	f, err := npz.Open("testdata/cur.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var x []float64
	if err := f.Read(name+".npy", &x); err != nil {
		t.Fatal(name, err)
	}
	return x
}

func goldenMatrix(t *testing.T, name string, cols int) *factor.Matrix {
	x := golden(t, name)
	return &factor.Matrix{Rows: len(x) / cols, Cols: cols, Data: x}
}

func goldenIndex(t *testing.T) (index []int) {
	t.Helper()
	f, err := npz.Open("testdata/cur.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var x []int64
	if err := f.Read("index.npy", &x); err != nil {
		t.Fatal(err)
	}
	for _, v := range x {
		index = append(index, int(v))
	}
	return index
}

const columns = 60 // of the golden matrix

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, x := range got {
		if math.Abs(x-want[i]) > 1e-9*(1+math.Abs(want[i])) {
			t.Fatalf("%s: value %d is %v, NumPy has %v", what, i, x, want[i])
		}
	}
}

// predictions are the rows of x, predicted from their values at the anchors.
func predictions(f *Fitted, x *factor.Matrix) (out []float64) {
	for i := range x.Rows {
		row, values := make([]float64, x.Cols), []float64(nil)
		for _, c := range f.Index {
			values = append(values, x.Row(i)[c])
		}
		f.Predict(row, values)
		out = append(out, row...)
	}
	return out
}

// Pseudo-inverse, ridge, left-out rows and the oracle against NumPy's.
func TestGolden(t *testing.T) {
	ctx := t.Context()
	r, x, index := goldenMatrix(t, "r", columns), goldenMatrix(t, "new", columns), goldenIndex(t)
	for name, cfg := range map[string]Config{"pinv": {Method: Pinv}, "pinv_cut": {Method: Pinv, Cut: 0.05}} {
		f, err := Fit(ctx, r, index, cfg)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, predictions(f, x), golden(t, name))
		near(t, "condition", []float64{f.Cond}, golden(t, "cond"))
	}
	lambdas := golden(t, "lambdas")
	for _, kind := range []string{"plain", "centred"} {
		want := golden(t, "ridge_"+kind)
		for i, lambda := range lambdas {
			f, err := Fit(ctx, r, index, Config{Method: Ridge, Lambda: lambda, Centre: kind == "centred"})
			if err != nil {
				t.Fatal(err)
			}
			n := len(want) / len(lambdas)
			near(t, "ridge "+kind, predictions(f, x), want[i*n:(i+1)*n])
		}
		errors, err := LeaveOneOut(ctx, r, index, lambdas, kind == "centred")
		if err != nil {
			t.Fatal(err)
		}
		near(t, "left out, "+kind, errors, golden(t, "loo_"+kind))
	}
	var rows []int
	for i := 0; i < r.Rows; i += 2 {
		rows = append(rows, i)
	}
	o, err := Oracle(ctx, r, rows, index)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "oracle", o.Data, golden(t, "oracle"))
}
