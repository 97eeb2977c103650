package plot

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gonum.org/v1/plot/plotter"

	"sparrow/metrics"
)

// curveOf puts values at the steps 1, 2, ...
func curveOf(values ...float64) curve {
	var c curve
	for i, y := range values {
		c = append(c, plotter.XY{X: float64(i + 1), Y: y})
	}
	return c
}

func TestLossCurve(t *testing.T) {
	records := []metrics.Record{trainLoss(1, 4), evalLoss(1, 5), {Step: 2, Kind: metrics.KindTrain, Values: []metrics.Value{{Name: "grad_norm", X: 1}}}, trainLoss(3, 2),
		{Step: 3, Kind: metrics.KindEval, Values: []metrics.Value{{Name: "loss", X: 9}}}}
	want := curve{{X: 1, Y: 4}, {X: 3, Y: 2}}
	if diff := cmp.Diff(want, lossCurve(records, metrics.KindTrain, "loss")); diff != "" {
		t.Errorf("lossCurve (-want +got):\n%s", diff)
	}
}

func TestCurveSmooth(t *testing.T) {
	nan := math.NaN()
	cases := []struct {
		name string
		half int
		in   []float64
		want []float64
	}{
		{"nothing to smooth", 0, []float64{1, 2, 3}, nil},
		{"window grows from the start", 1, []float64{9, 3, 6, 0}, []float64{9, 6, 3, 3}},
		{"a straight line stays straight until the end", 2, []float64{10, 8, 6, 4, 2, 0}, []float64{10, 8, 6, 4, 3, 2}},
		{"gaps stay and do not count", 1, []float64{9, nan, 6, 3}, []float64{9, nan, 4.5, 4.5}},
		{"only gaps", 1, []float64{nan, nan}, []float64{nan, nan}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := curveOf(c.in...).smooth(c.half)
			if diff := cmp.Diff(curveOf(c.want...), got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("%v smoothed over %d (-want +got):\n%s", c.in, c.half, diff)
			}
		})
	}
}

func TestCurveReduce(t *testing.T) {
	const n = 40 * plotBuckets
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Sin(float64(i) / 700)
	}
	values[777], values[12_345] = 50, -50 // must survive
	for i := 10_000; i < 10_200; i++ {    // five buckets without a value
		values[i] = math.NaN()
	}
	values[15_000] = math.NaN() // a NaN among values must not hide them
	full := curveOf(values...)
	got := full.reduce()
	if len(got) > 4*plotBuckets {
		t.Errorf("%d values reduced to %d, want at most %d", n, len(got), 4*plotBuckets)
	}
	for _, keep := range []int{0, 777, 12_345, n - 1} {
		if !slices.Contains(got, full[keep]) {
			t.Errorf("value %d, %v, was lost", keep, full[keep])
		}
	}
	if !slices.IsSortedFunc(got, func(a, b plotter.XY) int { return int(a.X - b.X) }) {
		t.Error("the reduced curve goes back")
	}
	if stretches := got.stretches(); len(stretches) != 2 {
		t.Errorf("the reduced curve has %d stretches, want 2: one gap", len(stretches))
	}
	if short := full[:100]; len(short.reduce()) != 100 {
		t.Error("a short curve was reduced")
	}
}

func TestCurveStretches(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	cases := []struct {
		name string
		in   []float64
		want []int // lengths
	}{
		{"nothing", nil, nil},
		{"no gap", []float64{1, 2, 3}, []int{3}},
		{"gaps at both ends", []float64{nan, 1, 2, inf}, []int{2}},
		{"a value alone", []float64{1, nan, 2, nan, nan, 3, 4}, []int{1, 1, 2}},
		{"only gaps", []float64{nan, -inf, 1e31}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []int
			for _, s := range curveOf(c.in...).stretches() {
				got = append(got, len(s))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("stretches of %v (-want +got):\n%s", c.in, diff)
			}
		})
	}
}
