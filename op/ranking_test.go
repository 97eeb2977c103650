package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// bagOf reads bags of up to length rows, some ids twice and some with a weight of 0, which need be no ids.
func bagOf(name string, n, length, vocab, d int) subject {
	r, ids, weights := source(), make([]int, n*length), bagWeights(n, length)
	for i := range ids {
		ids[i] = r.IntN(vocab)
		if weights.data[i] == 0 {
			ids[i] = -7
		}
	}
	return subject{name: name, floats: draws("w", []int{vocab, d}), ints: map[string][]int{"ids": ids},
		build: func(g *graph) *G.Node {
			return Bag(g.i("ids"), g.tape.Input("weights", weights.dense(g.tape.Dtype)), g.p("w"))
		}}
}

func bagWeights(n, length int) array {
	weights := normal(source(), n, length)
	for i := range weights.data {
		if i%4 == 3 {
			weights.data[i] = 0
		}
	}
	return weights
}

func dotsOf(name string, b, c, d int) subject {
	return subject{name: name, floats: draws("u", []int{b, d}, "v", []int{b * c, d}), build: func(g *graph) *G.Node { return Dots(g.tape, g.x("u"), g.x("v")) }}
}

// rankingOf is a loss; nbpo is not the derivative of what it counts, see TestStoppedWeights.
func rankingOf(kind string, b, c int) subject {
	s := subject{name: "ranking " + kind, floats: draws("scores", []int{b, c})}
	if Flips(kind) {
		s.floats["flips"] = normal(source(), b, c)
	}
	s.build = func(g *graph) *G.Node {
		var flips *G.Node
		if Flips(kind) {
			flips = g.x("flips")
		}
		return Ranking(g.tape, kind, 0.3, g.x("scores"), flips)
	}
	return s
}

// rankingSubjects are those of recommenders.
func rankingSubjects(b, c, d int) []subject {
	all := []subject{bagOf(fmt.Sprintf("bag %dx%dx%d", b, c, d), b, c, 5, d), dotsOf(fmt.Sprintf("dots %dx%dx%d", b, c, d), b, c, d)}
	for _, kind := range Rankings {
		if kind != "nbpo" {
			all = append(all, rankingOf(kind, b, c))
		}
	}
	return all
}

// lossOf is the loss of a row by its formula, with the weights of nbpo at held.
func lossOf(kind string, c float64, s, f, heldS, heldF []float64) (loss float64) {
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	log := math.Log
	r := s[0]
	for i := 1; i < len(s); i++ {
		q := s[i]
		switch kind {
		case "bpr":
			loss -= log(sigma(r - q))
		case "bpo":
			loss -= log(sigma(r)) + log(sigma(-q))
		case "smoothed_bpo":
			loss -= (1-c)*log(sigma(r)) + c*log(sigma(q)) + log(sigma(-q))
		case "softmax":
			sum := 0.0
			for _, x := range s {
				sum += math.Exp(x)
			}
			loss -= log(math.Exp(r) / sum)
		case "nbpo_o":
			loss -= log(sigma(r)*sigma(-f[0])) + log(sigma(-q)+sigma(q)*sigma(f[i]))
		case "nbpo_s":
			loss += 2 - sigma(r)*sigma(-f[0]) - sigma(-q) - sigma(q)*sigma(f[i])
		case "nbpo":
			loss -= sigma(-heldF[0])*log(sigma(r)) + sigma(heldS[0])*log(sigma(-f[0])) +
				sigma(heldF[i])*log(sigma(q)) + log(sigma(-q)) + sigma(heldS[i])*log(sigma(f[i]))
		}
	}
	return loss
}

// TestRankingLosses: each loss is its formula, and its gradients are differences of that with the weights of nbpo held.
func TestRankingLosses(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, kind := range Rankings {
		for range 20 {
			s, f, ds, df := make([]float64, 4), make([]float64, 4), make([]float64, 4), make([]float64, 4)
			for i := range s {
				s[i], f[i] = 2*r.NormFloat64(), 2*r.NormFloat64()
			}
			got, want := rankRow(kind, 0.3, s, f, ds, df, 1), lossOf(kind, 0.3, s, f, s, f)
			if !(math.Abs(got-want) <= 1e-12*(1+math.Abs(want))) {
				t.Fatalf("%s: loss %v, want %v", kind, got, want)
			}
			const h = 1e-5
			for i := range s {
				for which, x := range [][]float64{s, f} {
					if which == 1 && !Flips(kind) {
						continue
					}
					up, down := slices.Clone(x), slices.Clone(x)
					up[i], down[i] = up[i]+h, down[i]-h
					a, b := lossOf(kind, 0.3, up, f, s, f), lossOf(kind, 0.3, down, f, s, f)
					if which == 1 {
						a, b = lossOf(kind, 0.3, s, up, s, f), lossOf(kind, 0.3, s, down, s, f)
					}
					if g, want := [][]float64{ds, df}[which][i], (a-b)/(2*h); !(math.Abs(g-want) <= 1e-8*(1+math.Abs(want))) {
						t.Fatalf("%s: gradient %d of %d: %v, want %v", kind, which, i, g, want)
					}
				}
			}
		}
	}
	// Far scores give numbers.
	for _, kind := range Rankings {
		ds, df := make([]float64, 2), make([]float64, 2)
		if x := rankRow(kind, 0.3, []float64{-800, 800}, []float64{900, -20}, ds, df, 1); x-x != 0 || ds[0]-ds[0] != 0 || ds[1]-ds[1] != 0 {
			t.Errorf("%s of far scores: %v, gradients %v", kind, x, ds)
		}
	}
}

// TestSmoothedTarget: with the constant chance c the gradient by the score of an item that was not chosen is that of a target of
// c / (1+c).
func TestSmoothedTarget(t *testing.T) {
	for _, c := range []float64{0.2, 0.5} {
		target := c / (1 + c)
		q := math.Log(target / (1 - target))
		ds := make([]float64, 2)
		rankRow("smoothed_bpo", c, []float64{1, q}, nil, ds, nil, 1)
		if !(math.Abs(ds[1]) <= 1e-15) {
			t.Errorf("c = %v: gradient %v at the target, want 0", c, ds[1])
		}
	}
}

// rowsSink takes rows.
type rowsSink struct {
	memorySink
	rows   []int
	values []float64
}

func (s *rowsSink) SparseRows(_ string, rows []int, values *tensor.Dense) error {
	s.rows, s.values = slices.Clone(rows), float64s(values)
	return nil
}

// TestSparseRows: the rows that a sink gets are those of the whole gradient that are not zero, with its values.
func TestSparseRows(t *testing.T) {
	for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		ids := []int{3, 1, 3, 6, 1, 0}
		weights := array{[]int{3, 2}, []float64{1, 0.5, -2, 0, 3, 1}}
		w, c := normal(source(), 8, 3), normal(source(), 3, 3)
		build := func(sink Sink) *Tape {
			tape := NewTape(dtype, true)
			idsNode := tape.Input("ids", tensor.New(tensor.WithShape(6), tensor.WithBacking(ids)))
			y := Bag(idsNode, tape.Input("weights", weights.dense(dtype)), tape.Param("w", tensor.Shape{8, 3}, w.dense(dtype), sink))
			loss := dotLoss(tape, y, tape.Input("c", c.dense(dtype)))
			if err := tape.Backward(loss); err != nil {
				t.Fatal(err)
			}
			plan, err := tape.Plan(false, loss)
			if err != nil {
				t.Fatal(err)
			}
			plan.Bind(&Arena{})
			if err := tape.Run(G.NewTapeMachine(tape.Graph)); err != nil {
				t.Fatal(err)
			}
			return tape
		}
		whole := &memorySink{grads: map[string]*tensor.Dense{"w": tensor.New(tensor.Of(dtype), tensor.WithShape(8, 3))}}
		build(whole)
		some := &rowsSink{}
		build(some)
		if want := []int{0, 1, 3}; !slices.Equal(some.rows, want) {
			t.Fatalf("%v: rows %v, want %v", dtype, some.rows, want)
		}
		dense := float64s(whole.grads["w"])
		for row := range 8 {
			at := slices.Index(some.rows, row)
			for k := range 3 {
				want := 0.0
				if at >= 0 {
					want = some.values[at*3+k]
				}
				if dense[row*3+k] != want {
					t.Errorf("%v: row %d: %v of all, %v of rows", dtype, row, dense[row*3+k], want)
				}
			}
		}
	}
}

func naiveBag(s subject, n, length, d int) []float64 {
	y, weights, w := make([]float64, n*d), bagWeights(n, length), s.floats["w"]
	for i, id := range s.ints["ids"] {
		for k := range d {
			if weights.data[i] != 0 {
				y[i/length*d+k] += weights.data[i] * w.data[id*d+k]
			}
		}
	}
	return y
}

func naiveDots(s subject) []float64 {
	u, v := s.floats["u"], s.floats["v"]
	d := u.shape[1]
	c := v.shape[0] / u.shape[0]
	y := make([]float64, v.shape[0])
	for i := range y {
		for k := range d {
			y[i] += u.data[i/c*d+k] * v.data[i*d+k]
		}
	}
	return y
}

func naiveRanking(kind string) func(s subject) []float64 {
	return func(s subject) []float64 {
		sum, c := 0.0, s.floats["scores"].shape[1]
		for b := 0; b < len(s.floats["scores"].data); b += c {
			var f []float64
			if Flips(kind) {
				f = s.floats["flips"].data[b : b+c]
			}
			x := s.floats["scores"].data[b : b+c]
			sum += lossOf(kind, 0.3, x, f, x, f)
		}
		return []float64{sum}
	}
}
