package op

import (
	"fmt"
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func headScoresOf(name string, contexts int, s HeadScoresShape) subject {
	width := s.Heads * s.Rank
	return subject{name: name, floats: draws("c", []int{contexts, width}, "u", []int{s.Batch * s.SeqLen, width}),
		build: func(g *graph) *G.Node { return HeadScores(g.tape, g.x("c"), g.x("u"), s) }}
}

// timeOf is a subject over a matrix x of batch * seqLen tokens.
func timeOf(name string, batch, seqLen, cols int, lengths []int, build func(g *graph, x, lengths *G.Node) *G.Node) subject {
	s := subject{name: name, floats: draws("x", []int{batch * seqLen, cols})}
	if lengths != nil {
		s.ints = map[string][]int{"lengths": lengths}
	}
	s.build = func(g *graph) *G.Node {
		var l *G.Node
		if lengths != nil {
			l = g.i("lengths")
		}
		return build(g, g.x("x"), l)
	}
	return s
}

func timeSoftmaxOf(name string, batch, seqLen, heads int, lengths []int, temperature float64) subject {
	return timeOf(name, batch, seqLen, heads, lengths, func(g *graph, x, l *G.Node) *G.Node {
		return TimeSoftmax(g.tape, x, l, batch, seqLen, temperature)
	})
}

func timeMeanOf(name string, batch, seqLen, d int, lengths []int) subject {
	return timeOf(name, batch, seqLen, d, lengths, func(g *graph, x, l *G.Node) *G.Node {
		return TimeMean(g.tape, x, l, batch, seqLen)
	})
}

func timePoolOf(name string, batch, seqLen, heads, d int) subject {
	return subject{name: name, floats: draws("a", []int{batch * seqLen, heads}, "x", []int{batch * seqLen, d}),
		build: func(g *graph) *G.Node { return TimePool(g.tape, g.x("a"), g.x("x"), batch, seqLen) }}
}

// headScoresVariant is one way to score, as a subject and as its shape.
type headScoresVariant struct {
	subject
	HeadScoresShape
}

// headScoresCases are all ways to score at one size.
func headScoresCases(batch, seqLen, heads, rank int) []headScoresVariant {
	var cases []headScoresVariant
	for _, contexts := range []int{1, batch} {
		for _, tanh := range []bool{true, false} {
			for _, norm := range []bool{true, false} {
				name := fmt.Sprintf("head scores %dx%dx%dx%d contexts %d tanh %v norm %v", batch, seqLen, heads, rank, contexts, tanh, norm)
				shape := HeadScoresShape{batch, seqLen, heads, rank, tanh, norm}
				cases = append(cases, headScoresVariant{headScoresOf(name, contexts, shape), shape})
			}
		}
	}
	return cases
}

// poolingSubjects are the operators over time at sizes where every element can be moved.
func poolingSubjects() []subject {
	var subjects []subject
	for _, v := range append(headScoresCases(2, 3, 3, 1), headScoresCases(2, 3, 2, 2)...) {
		subjects = append(subjects, v.subject)
	}
	shared := timeOf("pooled by itself", 2, 3, 2, []int{2, 3}, func(g *graph, x, l *G.Node) *G.Node {
		return TimePool(g.tape, TimeSoftmax(g.tape, x, l, 2, 3, 1), x, 2, 3)
	})
	return append(subjects, shared,
		timeSoftmaxOf("time softmax", 2, 4, 3, nil, 1),
		timeSoftmaxOf("time softmax padded", 3, 4, 2, []int{4, 0, 2}, 0.5),
		timeMeanOf("time mean", 2, 3, 4, nil),
		timeMeanOf("time mean padded", 3, 3, 4, []int{2, 0, 3}),
		timePoolOf("time pool", 2, 3, 2, 4))
}

// oddPoolingSubjects are the same at sizes with tails.
func oddPoolingSubjects() []subject {
	var subjects []subject
	for _, v := range headScoresCases(3, 67, 7, 3) {
		subjects = append(subjects, v.subject)
	}
	return append(subjects,
		timeSoftmaxOf("time softmax 3x67x7", 3, 67, 7, []int{67, 33, 0}, 0.7),
		timeMeanOf("time mean 3x67x19", 3, 67, 19, []int{67, 33, 0}),
		timePoolOf("time pool 3x67x7x19", 3, 67, 7, 19))
}

// TestHeadScores: equations 1.4 to 1.6 of the specification, word by word.
func TestHeadScores(t *testing.T) {
	cases := append(headScoresCases(3, 4, 5, 1), append(headScoresCases(3, 4, 3, 4), headScoresCases(3, 4, 1, 1)...)...)
	for _, v := range cases {
		t.Run(v.name, func(t *testing.T) {
			same(t, v.name, v.compile(t, tensor.Float64).result(t).y, v.naive(), forwardTol)
		})
	}
}

func (v headScoresVariant) naive() []float64 {
	c, u := v.floats["c"], v.floats["u"]
	width := v.Heads * v.Rank
	var y []float64
	for row := range u.shape[0] {
		document := row / v.SeqLen % c.shape[0]
		f := make([]float64, v.Heads)
		var squares float64
		for j := range f {
			for i := j * v.Rank; i < (j+1)*v.Rank; i++ {
				f[j] += c.data[document*width+i] * u.data[row*width+i]
			}
			if v.Tanh {
				f[j] = math.Tanh(f[j])
			}
			squares += f[j] * f[j]
		}
		for _, x := range f {
			if v.L2Norm {
				x /= math.Sqrt(squares)
			}
			y = append(y, x)
		}
	}
	return y
}

// TestHeadScoresFloor: a word without any score is finite in both directions.
func TestHeadScoresFloor(t *testing.T) {
	s := headScoresOf("floor", 1, HeadScoresShape{Batch: 1, SeqLen: 2, Heads: 2, Rank: 1, Tanh: true, L2Norm: true})
	clear(s.floats["u"].data[:2])
	r := s.compile(t, tensor.Float32).result(t)
	same(t, "scores of an empty word", r.y[:2], []float64{0, 0}, 0)
	for name, g := range r.grads {
		for i, x := range g {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Errorf("d%s[%d] = %g", name, i, x)
			}
		}
	}
}

// TestTimeSoftmax: equation 1.7 head by head; rows of the paper's A (columns here)
// sum to one over the tokens that count, and the rest weighs nothing, even where
// its scores are the largest there are or no numbers at all.
func TestTimeSoftmax(t *testing.T) {
	const batch, seqLen, heads = 4, 9, 3
	lengths := []int{9, 4, 1, 0}
	for _, temperature := range []float64{1, 0.25, 3} {
		s := timeSoftmaxOf("time softmax", batch, seqLen, heads, lengths, temperature)
		x := s.floats["x"].data
		for b, n := range lengths {
			for i := (b*seqLen + n) * heads; i < (b+1)*seqLen*heads; i++ {
				x[i] = []float64{1e30, math.NaN(), math.Inf(1)}[i%3]
			}
		}
		r := s.compile(t, tensor.Float64).result(t)
		want := make([]float64, len(x))
		for b, n := range lengths {
			for j := range heads {
				var sum, total float64
				for t := range n {
					sum += math.Exp(x[(b*seqLen+t)*heads+j] / temperature)
				}
				for t := range n {
					want[(b*seqLen+t)*heads+j] = math.Exp(x[(b*seqLen+t)*heads+j]/temperature) / sum
					total += r.y[(b*seqLen+t)*heads+j]
				}
				if n > 0 && math.Abs(total-1) > 1e-14 {
					t.Errorf("temperature %g: weights of document %d, head %d sum to %.17g", temperature, b, j, total)
				}
			}
		}
		same(t, "weights", r.y, want, forwardTol)
		for b, n := range lengths {
			same(t, "gradient of padding", r.grads["x"][(b*seqLen+n)*heads:(b+1)*seqLen*heads], make([]float64, (seqLen-n)*heads), 0)
		}
	}
}

func TestTimeMean(t *testing.T) {
	const batch, seqLen, d = 3, 5, 4
	lengths := []int{5, 2, 0}
	s := timeMeanOf("time mean", batch, seqLen, d, lengths)
	want := make([]float64, batch*d)
	for b, n := range lengths {
		for t := range n {
			for j := range d {
				want[b*d+j] += s.floats["x"].data[(b*seqLen+t)*d+j] / float64(n)
			}
		}
	}
	same(t, "mean", s.compile(t, tensor.Float64).result(t).y, want, forwardTol)
}

// TestTimePool: S = A H of each document (equation 1.8).
func TestTimePool(t *testing.T) {
	const batch, seqLen, heads, d = 3, 5, 2, 4
	s := timePoolOf("time pool", batch, seqLen, heads, d)
	want := make([]float64, batch*heads*d)
	for b := range batch {
		for j := range heads {
			for t := range seqLen {
				for i := range d {
					want[(b*heads+j)*d+i] += s.floats["a"].data[(b*seqLen+t)*heads+j] * s.floats["x"].data[(b*seqLen+t)*d+i]
				}
			}
		}
	}
	same(t, "S", s.compile(t, tensor.Float64).result(t).y, want, forwardTol)
}

// TestHeadPenalty: the gradient that it adds is that of the penalty by central
// differences, and the values pass unchanged.
func TestHeadPenalty(t *testing.T) {
	const batch, seqLen, heads, factor = 2, 5, 3, 0.7
	pass := timeOf("plain", batch, seqLen, heads, nil, func(g *graph, x, _ *G.Node) *G.Node { return x })
	with := pass
	with.build = func(g *graph) *G.Node { return HeadPenalty(g.tape, g.x("x"), batch, seqLen, factor) }
	plain, got := pass.compile(t, tensor.Float64).result(t), with.compile(t, tensor.Float64).result(t)
	same(t, "weights", got.y, plain.y, 0)
	a := pass.floats["x"].data
	penalty := func() (sum float64) {
		for b := range batch {
			for i := range heads {
				for j := range heads {
					var dot float64
					for t := range seqLen {
						dot += a[(b*seqLen+t)*heads+i] * a[(b*seqLen+t)*heads+j]
					}
					if i == j {
						dot--
					}
					sum += factor * dot * dot
				}
			}
		}
		return sum
	}
	for i, x := range a {
		a[i] = x + differenceStep
		above := penalty()
		a[i] = x - differenceStep
		below := penalty()
		a[i] = x
		want := (above - below) / (2 * differenceStep)
		if added := got.grads["x"][i] - plain.grads["x"][i]; !(math.Abs(added-want) <= differenceTol*(1+math.Abs(want))) {
			t.Errorf("penalty adds %.10g to gradient %d, difference quotient %.10g", added, i, want)
		}
	}
}
