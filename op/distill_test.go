package op

import (
	"math"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// distillOf blends the cross entropy of scores with their distance to a teacher's; some rows do not count.
func distillOf(name string, n, vocab int, weight, temperature float64) subject {
	s := crossEntropyOf(name, n, vocab)
	s.floats["teacher"] = normal(teachers(), n, vocab)
	counts := array{[]int{n}, make([]float64, n)}
	for i, target := range s.ints["targets"] {
		if target != Ignored {
			counts.data[i] = 1
		}
	}
	s.floats["counts"] = counts
	s.frozen = map[string]bool{"teacher": true, "counts": true}
	s.build = func(g *graph) *G.Node {
		x := g.x("logits")
		return Distill(g.tape, CrossEntropy(g.tape, x, g.i("targets")), x, g.p("teacher").Node, g.p("counts").Node, weight, temperature)
	}
	return s
}

// naiveDistill is the equation, row by row.
func naiveDistill(s subject, weight, temperature float64) float64 {
	logits, teacher := s.floats["logits"], s.floats["teacher"].data
	vocab := logits.shape[1]
	logSoftmax := func(x []float64, temperature float64) []float64 {
		sum, out := 0.0, make([]float64, len(x))
		for _, v := range x {
			sum += math.Exp(v / temperature)
		}
		for j, v := range x {
			out[j] = v/temperature - math.Log(sum)
		}
		return out
	}
	loss := 0.0
	for i, target := range s.ints["targets"] {
		if target == Ignored {
			continue
		}
		x := logits.data[i*vocab : (i+1)*vocab]
		loss -= (1 - weight) * logSoftmax(x, 1)[target]
		p, q := logSoftmax(teacher[i*vocab:(i+1)*vocab], temperature), logSoftmax(x, temperature)
		for j := range p {
			loss += weight * temperature * temperature * math.Exp(p[j]) * (p[j] - q[j])
		}
	}
	return loss
}

// TestDistill: forward against the equation, gradients against finite differences, over several tasks' rows and few.
func TestDistill(t *testing.T) {
	for _, c := range []struct {
		name                string
		n, vocab            int
		weight, temperature float64
	}{
		{"half", 6, 5, 0.5, 2}, {"all", 7, 3, 1, 1}, {"none", 5, 4, 0, 3}, {"cold", 4, 6, 0.7, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := distillOf(c.name, c.n, c.vocab, c.weight, c.temperature)
			same(t, "loss", s.compile(t, tensor.Float64).result(t).y, []float64{naiveDistill(s, c.weight, c.temperature)}, 1e-12)
			checkGradients(t, s)
		})
	}
}

// TestDistillFromItself: a student that is its teacher is at no distance, and only the task moves it.
func TestDistillFromItself(t *testing.T) {
	s := distillOf("itself", 6, 5, 0.5, 2)
	s.floats["teacher"] = s.floats["logits"]
	task := crossEntropyOf("task", 6, 5)
	task.floats["logits"], task.ints = s.floats["logits"], s.ints
	got, want := s.compile(t, tensor.Float64).result(t), task.compile(t, tensor.Float64).result(t)
	for i := range want.y {
		same(t, "loss", got.y, []float64{want.y[i] / 2}, 1e-13)
	}
	half := make([]float64, len(want.grads["logits"]))
	scale := got.loss[0] / want.loss[0] * want.y[0] / got.y[0] // of the rig's loss over the operator's output
	for i, g := range want.grads["logits"] {
		half[i] = g / 2 * scale
	}
	same(t, "dlogits", got.grads["logits"], half, 1e-12)
}

// TestDistillGolden: PyTorch 2.15's values in float64 of
//
//	(1-w)*F.cross_entropy(x, y, reduction="sum") + w*T*T*F.kl_div(F.log_softmax(x/T, -1), F.softmax(z/T, -1), reduction="sum")
//
// with w = 0.7, T = 2, x = sin(i), z = 2 cos(2i), i = 0..11 as [3, 4], y = 1, 0, 3.
func TestDistillGolden(t *testing.T) {
	const n, vocab = 3, 4
	x, z := array{[]int{n, vocab}, make([]float64, n*vocab)}, array{[]int{n, vocab}, make([]float64, n*vocab)}
	for i := range x.data {
		x.data[i], z.data[i] = math.Sin(float64(i)), 2*math.Cos(float64(2*i))
	}
	s := distillOf("golden", n, vocab, 0.7, 2)
	s.floats["logits"], s.floats["teacher"], s.floats["counts"] = x, z, array{[]int{n}, []float64{1, 1, 1}}
	s.ints["targets"] = []int{1, 0, 3}
	got := s.compile(t, tensor.Float64).result(t)
	same(t, "loss", got.y, []float64{3.9964001126846065}, 1e-14)
	scale := got.loss[0] / got.y[0]
	want := []float64{-0.2707235342536274, 0.0705307679248561, 0.4217618448238859, -0.2215690784951145, -0.2448786914492808, 0.1489387490293617,
		-0.27682432322562, 0.3727642656455389, 0.5703935760091774, -0.152503442959395, -0.2168391929394357, -0.2010509401103468}
	for i := range want {
		want[i] *= scale
	}
	same(t, "dlogits", got.grads["logits"], want, 1e-13)
}

// TestDistillImpossible: where a teacher's score is -Inf, it asks for nothing.
func TestDistillImpossible(t *testing.T) {
	s := distillOf("impossible", 2, 3, 1, 1)
	s.floats["teacher"] = array{[]int{2, 3}, []float64{0, math.Inf(-1), 0, math.Inf(-1), 1, math.Inf(-1)}}
	s.floats["counts"] = array{[]int{2}, []float64{1, 1}}
	r := s.compile(t, tensor.Float64).result(t)
	for _, x := range append(r.y, r.grads["logits"]...) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Fatalf("loss %v, gradient %v", r.y, r.grads["logits"])
		}
	}
}

// TestDistillShapes: operands that do not fit are named.
func TestDistillShapes(t *testing.T) {
	for want, change := range map[string]func(s *subject){
		"teacher has shape (4, 4), want (4, 5)": func(s *subject) { s.floats["teacher"] = normal(source(), 4, 4) },
		"counts has shape (5), want (4)":        func(s *subject) { s.floats["counts"] = normal(source(), 5) },
	} {
		s := distillOf("shapes", 4, 5, 0.5, 1)
		change(&s)
		if text := panicOf(func() { s.tryCompile(tensor.Float64, true) }); !strings.Contains(text, want) {
			t.Errorf("panic %q, want %q", text, want)
		}
	}
}
