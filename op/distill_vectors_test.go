package op

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// teachers draws other numbers than students have.
func teachers() *rand.Rand { return rand.New(rand.NewPCG(7, 11)) }

// distillVectorsOf blends a loss with the distance of vectors to a teacher's, of which every third does not count.
func distillVectorsOf(name string, n, d int, weight float64) subject {
	s := squaredErrorOf(name, n)
	task := s.build
	s.floats["vectors"] = draws("vectors", []int{n, d})["vectors"]
	s.floats["teacher"] = normal(teachers(), n, d)
	counts := array{[]int{n}, make([]float64, n)}
	for i := range counts.data {
		counts.data[i] = float64(i % 3)
	}
	s.floats["counts"] = counts
	s.frozen = map[string]bool{"teacher": true, "counts": true}
	s.build = func(g *graph) *G.Node {
		return DistillVectors(g.tape, task(g), g.x("vectors"), g.p("teacher").Node, g.p("counts").Node, weight)
	}
	return s
}

// naiveDistillVectors is the equation, as half the squared distance of vectors of length 1.
func naiveDistillVectors(s subject, weight float64) []float64 {
	loss := (1 - weight) * naiveSquaredError(s)[0]
	x, z := s.floats["vectors"], s.floats["teacher"].data
	d := x.shape[1]
	unit := func(v []float64) []float64 {
		sum, out := 0.0, make([]float64, d)
		for _, a := range v {
			sum += a * a
		}
		for j, a := range v {
			out[j] = a / math.Sqrt(sum)
		}
		return out
	}
	for i, count := range s.floats["counts"].data {
		a, b := unit(x.data[i*d:(i+1)*d]), unit(z[i*d:(i+1)*d])
		for j := range d {
			loss += weight * count * (a[j] - b[j]) * (a[j] - b[j]) / 2
		}
	}
	return []float64{loss}
}

// TestDistillVectors: forward against the equation, gradients against finite differences.
func TestDistillVectors(t *testing.T) {
	for _, c := range []struct {
		name   string
		n, d   int
		weight float64
	}{
		{"half", 6, 5, 0.5}, {"all", 7, 3, 1}, {"none", 5, 4, 0}, {"wide", 2, 33, 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := distillVectorsOf(c.name, c.n, c.d, c.weight)
			same(t, "loss", s.compile(t, tensor.Float64).result(t).y, naiveDistillVectors(s, c.weight), 1e-12)
			checkGradients(t, s)
		})
	}
}

// TestDistillVectorsGolden: PyTorch 2.15's values in float64 of
//
//	0.3*task + 0.7*((1 - F.cosine_similarity(x, z)) * c).sum()
//
// with task = 2, x = sin(i), z = 2 cos(2i), i = 0..11 as [3, 4], c = 1, 0, 2.
func TestDistillVectorsGolden(t *testing.T) {
	const n, d = 3, 4
	x, z := array{[]int{n, d}, make([]float64, n*d)}, array{[]int{n, d}, make([]float64, n*d)}
	for i := range x.data {
		x.data[i], z.data[i] = math.Sin(float64(i)), 2*math.Cos(float64(2*i))
	}
	s := distillVectorsOf("golden", n, d, 0.7)
	s.floats["vectors"], s.floats["teacher"], s.floats["counts"] = x, z, array{[]int{n}, []float64{1, 0, 2}}
	s.floats["task"] = array{[]int{1}, []float64{2}}
	s.build = func(g *graph) *G.Node {
		return DistillVectors(g.tape, g.x("task"), g.x("vectors"), g.p("teacher").Node, g.p("counts").Node, 0.7)
	}
	delete(s.floats, "x")
	got := s.compile(t, tensor.Float64).result(t)
	same(t, "loss", got.y, []float64{2.928090695446035}, 1e-14)
	scale := got.loss[0] / got.y[0]
	want := []float64{-0.3534730013407073, -0.007672381977078785, 0.06380121973481137, -0.3653500224663858, 0, 0, 0, 0,
		0.5636440036718958, -0.3627294049142618, -0.2430812399853916, 0.5404049689285816}
	for i := range want {
		want[i] *= scale
	}
	same(t, "dvectors", got.grads["vectors"], want, 1e-13)
}

// TestDistillVectorsWithoutDirection: a vector of zeros is at distance 1 and is not moved, whichever side it is on.
func TestDistillVectorsWithoutDirection(t *testing.T) {
	s := distillVectorsOf("no direction", 3, 4, 1)
	s.floats["counts"] = array{[]int{3}, []float64{1, 1, 1}}
	clear(s.floats["vectors"].data[:4])
	clear(s.floats["teacher"].data[4:8])
	r := s.compile(t, tensor.Float64).result(t)
	if !(r.y[0] >= 2 && r.y[0] <= 4) {
		t.Errorf("distance %v; want 1 for each of the first two", r.y[0])
	}
	for i, g := range r.grads["vectors"] {
		if (g == 0) != (i < 8) {
			t.Errorf("gradient %d is %v", i, g)
		}
	}
}

// TestDistillVectorsShapes: operands that do not fit are named.
func TestDistillVectorsShapes(t *testing.T) {
	for want, change := range map[string]func(s *subject){
		"teacher has shape (4, 4), want (4, 5)": func(s *subject) { s.floats["teacher"] = normal(source(), 4, 4) },
		"counts has shape (5), want (4)":        func(s *subject) { s.floats["counts"] = normal(source(), 5) },
	} {
		s := distillVectorsOf("shapes", 4, 5, 0.5)
		change(&s)
		if text := panicOf(func() { s.tryCompile(tensor.Float64, true) }); !strings.Contains(text, want) {
			t.Errorf("panic %q, want %q", text, want)
		}
	}
}
