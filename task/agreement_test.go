package task

import (
	"math"
	"testing"
)

// digits reads class ids.
func digits(text string) []int {
	var out []int
	for _, r := range text {
		out = append(out, int(r-'0'))
	}
	return out
}

func confusionOf(classes int, truth, predicted []int) confusion {
	c := newConfusion(classes)
	for i := range truth {
		c[truth[i]][predicted[i]]++
	}
	return c
}

const agreementTolerance = 1e-14 // of values around 1, sums of tens of terms

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= agreementTolerance) {
		t.Errorf("%s = %.17g, want %.17g", name, got, want)
	}
}

// TestConfusion: golden values are those of testdata/agreement.py, which counts nothing together: F1 from precision and
// recall, Matthews as the correlation of indicators.
func TestConfusion(t *testing.T) {
	for _, tc := range []struct {
		name                            string
		classes                         int
		truth, predicted                string
		accuracy, f1, macroF1, matthews float64
	}{
		{"two classes", 2, "0101100110111000001001111110011011001000", "1001100100111001001101011110111011000000", 0.8, 0.8, 0.8, 0.6},
		{"three classes", 3, "2202111020011100000201200102022201111210", "2212201110011100000001202102012202121200",
			0.725, 0.64, 0.7160507246376812, 0.583886518221356},
		{"all right", 2, "0110", "0110", 1, 1, 1, 1},
		{"all wrong", 2, "0110", "1001", 0, 0, 0, -1},
		{"one class predicted", 2, "0101", "0000", 0.5, 0, 1.0 / 3, 0},
		{"a class that never occurs", 3, "0101", "0101", 1, 1, 1, 1},
		{"one class only", 2, "000", "000", 1, 0, 1, 0},
	} {
		c := confusionOf(tc.classes, digits(tc.truth), digits(tc.predicted))
		near(t, tc.name+": accuracy", c.accuracy(), tc.accuracy)
		near(t, tc.name+": f1", c.f1(1), tc.f1)
		near(t, tc.name+": macro f1", c.macroF1(), tc.macroF1)
		near(t, tc.name+": matthews", c.matthews(), tc.matthews)
	}
}

// TestCorrelations: golden values are those of testdata/agreement.py; x and y have many ties.
func TestCorrelations(t *testing.T) {
	x := []float64{0, 1, 0.5, -1, -1, 0, -0.5, -0.5, -1.5, 2, 1, -1, 1, 1.5, -2.5, -0.5, -0.5, 0.5, 0, 0, 0, 2, 2, -0.5}
	y := []float64{-1, 3.75, -0.5, -1.5, -1, 0.5, 0.5, 0, -2.25, 2.5, 1.25, 1, 1, 0.25, -3.5, 1, -1, -1.5, -0.5, 0, 1.25, 1, 2.75, 0.25}
	near(t, "pearson", pearson(x, y), 0.7201706740089042)
	near(t, "spearman", spearman(x, y), 0.6247128651244488)
	line, curve := []float64{1, 2, 3, 4}, []float64{-1, -8, -27, -64}
	near(t, "pearson of a line", pearson(line, []float64{3, 5, 7, 9}), 1)
	near(t, "spearman of a falling curve", spearman(line, curve), -1)
	near(t, "pearson of a constant", pearson(line, []float64{2, 2, 2, 2}), 0)
	near(t, "spearman of nothing", spearman(nil, nil), 0)
	if got := spearman([]float64{2, math.NaN(), 1, math.NaN()}, []float64{1, 2, 3, 4}); !math.IsNaN(got) {
		t.Errorf("spearman of what is no number: got %g, want NaN", got)
	}
}

// TestBetter: of losses less is better, of agreement more, and of no two equal values one is.
func TestBetter(t *testing.T) {
	classes, regression := Labels{Names: []string{"a", "b"}}.Metrics(false), Labels{Regression: true}.Metrics(false)
	for _, c := range []struct {
		metric      Metric
		name        string
		value, than float64
		want        bool
	}{
		{classes[0], "loss", 1, 2, true}, {classes[0], "loss", 1, 1, false}, {classes[1], "accuracy", 0.9, 0.8, true}, {classes[4], "matthews", 0.1, 0.2, false},
		{regression[2], "spearman", 0.5, 0.5, false}, {regression[0], "loss", 2, 1, false},
	} {
		if got := c.metric.Better(c.value, c.than); got != c.want || c.metric.Name != c.name {
			t.Errorf("%+v: %v is better than %v: %t", c.metric, c.value, c.than, got)
		}
	}
}
