package nntest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

const rows, width = 3, 4

// judged notes what a test would fail with.
type judged struct {
	testing.TB
	said []string
}

func (j *judged) Helper() {}

func (j *judged) Errorf(format string, args ...any) {
	j.said = append(j.said, fmt.Sprintf(format, args...))
}

func (j *judged) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	runtime.Goexit()
}

func (j *judged) Fatal(args ...any) { j.Fatalf("%s", fmt.Sprint(args...)) }

// verdict is what a check says of a layer; "": it passes.
func verdict(t *testing.T, check func(testing.TB)) string {
	j := &judged{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(j)
	}()
	<-done
	return strings.Join(j.said, "\n")
}

// doubled is y = 2 x w, written with two factors that a test may get wrong.
func doubled(b *nn.Builder) *G.Node {
	x, w := nntest.Input(b, "x", rows, width), b.Weight("w", nn.Normal(1), width, width)
	y := op.Linear(x, w.Use(), nil)
	return op.Add(b.Tape, y, y)
}

func naiveDoubled(v map[string][]float64) []float64 {
	var y []float64
	for r := range rows {
		for o := range width {
			var sum float64
			for i := range width {
				sum += 2 * v["x"][r*width+i] * v["w"][o*width+i]
			}
			y = append(y, sum)
		}
	}
	return y
}

// TestCheck: a right layer passes; each kind of mistake is found by its check, in words that name it.
func TestCheck(t *testing.T) {
	calls := 0
	for name, c := range map[string]struct {
		layer nntest.Layer
		want  string
	}{
		"right": {nntest.Layer{Build: doubled, Naive: naiveDoubled, Shape: []int{rows, width}}, ""},
		"right, in every representation": {nntest.Layer{
			Linear: []nn.Rule{
				{Match: "a", OneOf: nn.As(nn.SLTrain{Rank: 2, Density: 0.3})},
				{Match: "b", OneOf: nn.As(nn.LoRA{Rank: 2})},
				{Match: "d", OneOf: nn.As(nn.LoRA{Rank: 2, Keep: "int8"})},
				{Match: "c", OneOf: nn.As(nn.DenseSparse{Block: 2, Atoms: 4, Nonzeros: []int{1}})},
			},
			Build: func(b *nn.Builder) *G.Node {
				x := nntest.Input(b, "x", rows, width)
				for _, name := range []string{"a", "b", "c", "d"} {
					x = nn.NewLinear(b.Sub(name), width, width, false, nn.Normal(1)).Forward(x)
				}
				return x
			},
		}, ""},
		"another equation": {nntest.Layer{Build: doubled, Naive: func(v map[string][]float64) []float64 {
			y := naiveDoubled(v)
			y[5]++
			return y
		}}, "value 5 is "},
		"too few values": {nntest.Layer{Build: doubled, Naive: func(v map[string][]float64) []float64 { return v["w"][:3] }}, "12 values, want 3"},
		"another shape":  {nntest.Layer{Build: doubled, Shape: []int{rows, 5}}, "the output has shape [3 4], want [3 5]"},
		"one column": {nntest.Layer{Build: func(b *nn.Builder) *G.Node { return nntest.Input(b, "x", rows, 1) }},
			"the output has shape [3 1], want [N, C] with C at least 2"},
		"a gradient that is left out": {nntest.Layer{Build: func(b *nn.Builder) *G.Node {
			w := b.Weight("w", nn.Normal(1), rows, width)
			value := b.Store.Get("w")
			if value == nil { // declared only
				return op.Value(w.Use())
			}
			return op.Add(b.Tape, op.Value(w.Use()), b.Tape.Input("hidden", value)) // reads w past its gradient
		}}, "gradient of w[0] is "},
		"a state outside the store": {nntest.Layer{Build: func(b *nn.Builder) *G.Node {
			calls++
			state := tensor.New(tensor.Of(b.Tape.Dtype), tensor.WithShape(rows, width))
			if b.Tape.Dtype == tensor.Float32 {
				state.Float32s()[2] = float32(calls)
			}
			return op.Add(b.Tape, nntest.Input(b, "x", rows, width), b.Tape.Input("state", state))
		}}, "float32: the gradient of x[0] has other bits in a layer that has the same arrays"},
		"other arrays each time": {nntest.Layer{Build: func(b *nn.Builder) *G.Node {
			calls++
			return nntest.Input(b, fmt.Sprint("x", calls), rows, width)
		}}, "built twice, the layer has other arrays: only once"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verdict(t, func(tb testing.TB) { nntest.Check(tb, c.layer) })
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("said %q, want %q", got, c.want)
			}
		})
	}
}

// TestThreads: the number of threads is put back.
func TestThreads(t *testing.T) {
	before := kernel.Threads()
	watched := nntest.Layer{Build: func(b *nn.Builder) *G.Node { return nntest.Input(b, "x", rows, width) }}
	if got := verdict(t, func(tb testing.TB) { nntest.Threads(tb, watched) }); got != "" || kernel.Threads() != before {
		t.Errorf("said %q, and left %d threads of %d", got, kernel.Threads(), before)
	}
}

// TestRefuses: the words of a refusal are compared; what is no refusal of a shape passes through.
func TestRefuses(t *testing.T) {
	small := func(b *nn.Builder) { b.Weight("w", nn.Constant(0), 2, 2) }
	large := func(b *nn.Builder) {
		small(b)
		b.Weight("w", nn.Constant(0), 3, 3)
	}
	for name, c := range map[string]struct {
		want, said string
		build      func(b *nn.Builder)
	}{
		"built as wanted":     {"", "", small},
		"refused as wanted":   {"w has shape (2, 2), want [3 3]", "", large},
		"built against hope":  {"w has shape", `built, want it refused with "w has shape"`, small},
		"refused unawares":    {"", "refused: op: parameter: w has shape (2, 2), want [3 3]", large},
		"refused differently": {"of width 7", `want "of width 7"`, large},
	} {
		if got := verdict(t, func(tb testing.TB) { nntest.Refuses(tb, c.want, nil, c.build) }); c.said == "" && got != "" || !strings.Contains(got, c.said) {
			t.Errorf("%s: said %q, want %q", name, got, c.said)
		}
	}
	defer func() {
		if r := recover(); r != "a mistake" {
			t.Errorf("recovered %v", r)
		}
	}()
	nntest.Refuses(t, "", nil, func(*nn.Builder) { panic("a mistake") })
}
