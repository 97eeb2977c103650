package compress

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
)

// TestLikeness: the divergence against the sum written out, and rows without a target count nothing.
func TestLikeness(t *testing.T) {
	rows := func(x ...float32) model.Rows {
		return model.RowsOf(tensor.New(tensor.WithShape(len(x)/3, 3), tensor.WithBacking(x)))
	}
	before, after := rows(1, 2, 0, 5, 5, 5, 0, 0, 1), rows(1, 2, 0, 9, 0, 0, 3, 0, 0)
	var l Likeness
	l.add(before, after, []int{1, -1, 2})
	p := [3]float64{1, 1, math.E}
	q := [3]float64{math.Exp(3), 1, 1}
	sp, sq, want := 2+math.E, math.Exp(3)+2, 0.0
	for i := range p {
		want += p[i] / sp * math.Log(p[i]/sp/(q[i]/sq))
	}
	if l.Rows != 2 || l.Agreement != 1 || math.Abs(l.KL-want) > 1e-12 {
		t.Errorf("%+v, want a sum of divergences of %g over 2 rows, 1 of which agrees", l, want)
	}
}

// TestDoubt: a prediction that is more than ten times off is warned of, either way, and nothing else is.
func TestDoubt(t *testing.T) {
	for _, c := range []struct {
		measured, predicted float64
		warns               bool
	}{{0.02, 0.015, false}, {0.17, 1e-4, true}, {1e-3, 0.02, true}, {-0.05, 0.02, false}, {-0.05, 0.001, true}, {5e-4, 1e-7, false}, {0.02, 0.0021, false}} {
		r := Result{Measure: "fisher", Loss: c.predicted, Before: &Quality{Values: []Measurement{{"loss", 1}}}, Compressed: &Quality{Values: []Measurement{{"loss", 1 + c.measured}}}}
		if got := r.Doubt(); (got != "") != c.warns {
			t.Errorf("%g measured, %g predicted: %q", c.measured, c.predicted, got)
		}
		if r.Measure = ""; r.Doubt() != "" {
			t.Error("a warning about what is no prediction of the loss")
		}
	}
}
