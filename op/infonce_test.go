package op

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func scaleRowsOf(name string, n, d int) subject {
	return subject{name: name, floats: draws("x", []int{n, d}, "w", []int{n, 1}), build: func(g *graph) *G.Node { return ScaleRows(g.tape, g.x("x"), g.x("w"), 2) }}
}

func sumGroupsOf(name string, n, g, d int) subject {
	return subject{name: name, floats: draws("x", []int{n * g, d}), build: func(b *graph) *G.Node { return SumGroups(b.tape, b.x("x"), g) }}
}

// infoNCEOf leaves every third pair out.
func infoNCEOf(name string, n, d int) subject {
	marks := make([]int, n)
	for i := range marks {
		marks[i] = -(i % 3 / 2)
	}
	return subject{name: name, floats: draws("x", []int{2 * n, d}), ints: map[string][]int{"marks": marks},
		build: func(g *graph) *G.Node { return InfoNCE(g.tape, g.x("x"), g.i("marks"), 0.5, 0.7) }}
}

func naiveScaleRows(s subject) []float64 {
	x, w := s.floats["x"], s.floats["w"]
	y := make([]float64, len(x.data))
	for i, v := range x.data {
		y[i] = 2 * w.data[i/x.shape[1]] * v
	}
	return y
}

func naiveInfoNCE(s subject) []float64 {
	x, marks := s.floats["x"], s.ints["marks"]
	n, d := len(marks), x.shape[1]
	cos := func(a, b int) float64 {
		var ab, aa, bb float64
		for k := range d {
			p, q := x.data[a*d+k], x.data[b*d+k]
			ab, aa, bb = ab+p*q, aa+p*p, bb+q*q
		}
		return ab / math.Sqrt(aa*bb) / 0.5
	}
	var sum float64
	for i := range n {
		var across, down float64
		for j := range n {
			if marks[j] != Ignored {
				across += math.Exp(cos(i, n+j))
				down += math.Exp(cos(j, n+i))
			}
		}
		if marks[i] != Ignored {
			sum += 0.7 / 2 * (math.Log(across) + math.Log(down) - 2*cos(i, n+i))
		}
	}
	return []float64{sum}
}

// TestInfoNCE: two views that are the same for all have the loss of guessing, log N; exchanging the views changes nothing.
func TestInfoNCE(t *testing.T) {
	run := func(x array, marks []int) float64 {
		s := subject{name: "info nce", floats: map[string]array{"x": x}, ints: map[string][]int{"marks": marks},
			build: func(g *graph) *G.Node { return InfoNCE(g.tape, g.x("x"), g.i("marks"), 0.2, 1) }}
		return s.compile(t, tensor.Float64).result(t).y[0]
	}
	same := array{[]int{8, 2}, []float64{1, 2, 2, 4, 1, 2, 3, 6, 1, 2, 1, 2, 4, 8, 1, 2}}
	if got := run(same, make([]int, 4)) / 4; !(math.Abs(got-math.Log(4)) <= 1e-12) {
		t.Errorf("equal rows: %v a row, want log 4", got)
	}
	if got := run(same, []int{0, Ignored, 0, Ignored}) / 2; !(math.Abs(got-math.Log(2)) <= 1e-12) {
		t.Errorf("equal rows of which two count: %v a row, want log 2", got)
	}
	x := normal(source(), 6, 3)
	swapped := array{[]int{6, 3}, append(append([]float64(nil), x.data[9:]...), x.data[:9]...)}
	if a, b := run(x, make([]int, 3)), run(swapped, make([]int, 3)); !(math.Abs(a-b) <= 1e-12) {
		t.Errorf("views exchanged: %v and %v", a, b)
	}
	if got := run(array{[]int{4, 2}, make([]float64, 8)}, make([]int, 2)); !(math.Abs(got-2*math.Log(2)) <= 1e-12) {
		t.Errorf("rows without a direction: %v, want 2 log 2", got)
	}
}
