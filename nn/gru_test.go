package nn_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// integers is an input of integers.
func integers(t *op.Tape, name string, v ...int) *G.Node {
	return t.Input(name, tensor.New(tensor.WithBacking(v), tensor.WithShape(len(v))))
}

// TestGRU: both directions over sequences of unequal length, by the equations.
func TestGRU(t *testing.T) {
	const hidden, seqLen = 3, 5 // of the rows of layerCase, one sequence
	for name, c := range map[string]struct {
		linear        nn.Rule
		bidirectional bool
		length        int
	}{
		"forward":         {length: 5},
		"both":            {bidirectional: true, length: 5},
		"both, padded":    {bidirectional: true, length: 3},
		"low-rank inputs": {linear: nn.Rule{OneOf: nn.As(nn.LowRank{Rank: 2})}, bidirectional: true, length: 4},
	} {
		t.Run(name, layerCase{
			linear: c.linear,
			build: func(b *nn.Builder, x *G.Node) *G.Node {
				l := nn.NewGRU(b.Sub("gru"), nn.GRUConfig{Input: width, Hidden: hidden, Bidirectional: c.bidirectional})
				return l.Forward(x, nn.SeqInfo{Batch: 1, SeqLen: seqLen, Lengths: integers(b.Tape, "lengths", c.length)})
			},
			naive: func(v numbersOf, _ *nn.Store) []float64 {
				names := []string{"gru.forward", "gru.reverse"}
				if !c.bidirectional {
					names = names[:1]
				}
				y := make([]float64, seqLen*len(names)*hidden)
				for d, name := range names {
					w := v[name+".ih.weight"]
					if w == nil {
						w = product(1, v[name+".ih.up.weight"], v[name+".ih.down.weight"], 2)
					}
					gates := affine(v["x"], w, v[name+".ih.bias"], width)
					state := make([]float64, hidden)
					for i := range c.length {
						t := i
						if d == 1 {
							t = c.length - 1 - i
						}
						state = gruStep(gates[t*3*hidden:], affine(state, v[name+".hh.weight"], v[name+".hh.bias"], hidden), state)
						copy(y[(t*len(names)+d)*hidden:], state)
					}
				}
				return y
			},
		}.check)
	}
}

// gruStep is the next state, from the gates' sums of input and state.
func gruStep(in, recurrent, state []float64) []float64 {
	h := len(state)
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	next := make([]float64, h)
	for j := range h {
		r, z := sigmoid(in[j]+recurrent[j]), sigmoid(in[h+j]+recurrent[h+j])
		n := math.Tanh(in[2*h+j] + r*recurrent[2*h+j])
		next[j] = (1-z)*n + z*state[j]
	}
	return next
}

// TestGRUInit: all parameters start within 1/sqrt(H), biases too.
func TestGRUInit(t *testing.T) {
	store := nn.NewStore(tensor.Float64)
	b := nn.NewBuilder(op.NewTape(tensor.Float64, true), store, nn.Options{Seed: 1})
	nn.NewGRU(b, nn.GRUConfig{Input: 9, Hidden: 16, Bidirectional: true})
	if n := len(store.Names()); n != 8 {
		t.Errorf("%d parameters, want 8: %v", n, store.Names())
	}
	for _, name := range store.Names() {
		var top float64
		for _, x := range store.Get(name).Float64s() {
			top = max(top, math.Abs(x))
		}
		if top > 0.25 || top < 0.2 {
			t.Errorf("%s starts with values up to %g, want nearly 1/sqrt(16)", name, top)
		}
	}
}

// gruNames are PyTorch's names of the parameters.
var gruNames = map[string]string{
	"forward.ih.weight": "weight_ih_l0", "forward.ih.bias": "bias_ih_l0",
	"forward.hh.weight": "weight_hh_l0", "forward.hh.bias": "bias_hh_l0",
	"reverse.ih.weight": "weight_ih_l0_reverse", "reverse.ih.bias": "bias_ih_l0_reverse",
	"reverse.hh.weight": "weight_hh_l0_reverse", "reverse.hh.bias": "bias_hh_l0_reverse",
}

// goldenGRU is one case of testdata/gru: arrays by name, without the case's own.
type goldenGRU struct {
	floats map[string][]float64
	shapes map[string][]int
	ints   map[string][]int
}

func goldenGRUs(t *testing.T) map[string]goldenGRU {
	t.Helper()
	f, err := npz.Open(filepath.Join("testdata", "gru", "gru.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := map[string]goldenGRU{}
	for _, key := range f.Keys() {
		name, operand, _ := strings.Cut(strings.TrimSuffix(key, ".npy"), ".")
		c, ok := cases[name]
		if !ok {
			c = goldenGRU{map[string][]float64{}, map[string][]int{}, map[string][]int{}}
			cases[name] = c
		}
		c.shapes[operand] = f.Header(key).Descr.Shape
		if f.Header(key).Descr.Type == "<i4" {
			var v []int32
			if err := f.Read(key, &v); err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				c.ints[operand] = append(c.ints[operand], int(x))
			}
			continue
		}
		var v []float64
		if err := f.Read(key, &v); err != nil {
			t.Fatal(err)
		}
		c.floats[operand] = v
	}
	return cases
}

// TestGRUGolden compares outputs and gradients with PyTorch's.
func TestGRUGolden(t *testing.T) {
	cases := goldenGRUs(t)
	if len(cases) != 4 {
		t.Fatalf("%d golden cases, want 4", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store := nn.NewStore(tensor.Float64)
			grads := nn.NewGradients(store)
			tape := op.NewTape(tensor.Float64, true)
			b := nn.NewBuilder(tape, store, nn.Options{Seed: 1, Sink: grads})
			shape := c.shapes["x"]
			x := b.Weight("x", nn.Constant(0), shape[0]*shape[1], shape[2])
			layer := nn.NewGRU(b, nn.GRUConfig{Input: shape[2], Hidden: c.shapes["weight_hh_l0"][1], Bidirectional: strings.HasPrefix(name, "both")})
			for _, n := range store.Names() {
				copy(store.Get(n).Float64s(), c.floats[golden(n)])
			}
			y := layer.Forward(op.Value(x.Use()), nn.SeqInfo{Batch: shape[0], SeqLen: shape[1], Lengths: integers(tape, "lengths", c.ints["lengths"]...)})
			if err := tape.Backward(op.CrossEntropy(tape, y, integers(tape, "targets", c.ints["targets"]...))); err != nil {
				t.Fatal(err)
			}
			runner(t, tape, y)()
			near(t, "y", y.Value().(*tensor.Dense).Float64s(), c.floats["y"])
			for _, n := range store.Names() {
				near(t, "gradient of "+n, grads.Get(n).Float64s(), c.floats["d"+golden(n)])
			}
		})
	}
}

// golden is PyTorch's name of a parameter.
func golden(name string) string {
	if name == "x" {
		return name
	}
	return gruNames[name]
}

// near fails unless got is want but for rounding in another order.
func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-12*max(1, math.Abs(want[i]))) {
			t.Errorf("%s[%d] is %.15g, want %.15g", what, i, got[i], want[i])
			return
		}
	}
}
