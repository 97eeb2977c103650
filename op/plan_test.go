package op

import (
	"fmt"
	"runtime"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// mediumDecoder has megabytes of activations and enough rows for several pieces
// of parallel work.
var mediumDecoder = decoderSize{layers: 3, width: 64, hidden: 172, vocab: 61, batch: 3, length: 67, dropout: 0.1}

// TestInPlace plans small graphs whose memory can be counted by hand, in buffers
// of 8000 bytes. The result is pinned, so it has a buffer of its own.
func TestInPlace(t *testing.T) {
	const buffer = 8000
	act := func(t *Tape, x *G.Node) *G.Node { return Activation(t, "tanh", x) }
	for _, tc := range []struct {
		name  string
		want  int // buffers
		build func(t *Tape, x *G.Node) *G.Node
	}{
		{"a chain lives in one buffer", 2, func(t *Tape, x *G.Node) *G.Node {
			for range 10 {
				x = act(t, x)
			}
			return x
		}},
		{"an input read later is kept", 3, func(t *Tape, x *G.Node) *G.Node { return Add(t, act(t, act(t, x)), x) }},
		{"an addition takes either operand", 3, func(t *Tape, x *G.Node) *G.Node {
			y := act(t, x)
			return act(t, Add(t, act(t, y), y))
		}},
		{"a value added to itself is not overwritten", 3, func(t *Tape, x *G.Node) *G.Node { return act(t, Add(t, x, x)) }},
		{"two ends of one value", 3, func(t *Tape, x *G.Node) *G.Node { return SwiGLU(t, act(t, x), act(t, x)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tp := NewTape(tensor.Float64, false)
			in := normal(source(), 20, 50)
			y := tc.build(tp, copied(tp, tp.Input("x", in.dense(tensor.Float64))))
			plan, err := tp.Plan(true, y)
			if err != nil {
				t.Fatal(err)
			}
			if got := plan.Bytes(); got < tc.want*buffer || got > tc.want*buffer+tc.want*align {
				t.Errorf("plan of %d bytes, want %d buffers of %d", got, tc.want, buffer)
			}
		})
	}
}

// pinAll gives every buffer of a graph memory of its own for the whole run.
func pinAll(t *Tape) (bytes int) {
	for _, o := range t.ops {
		if o.out != nil {
			o.out.pinned = true
			bytes += o.out.bytes()
		}
		for _, b := range o.aux {
			b.pinned = true
		}
	}
	return bytes
}

// unplanned compiles s with all buffers pinned: what the plan must not change.
func (s subject) unplanned(t testing.TB, dtype tensor.Dtype) (m *machine, bytes int) {
	t.Helper()
	build := s.build
	var tape *Tape
	s.build = func(g *graph) *G.Node { tape = g.tape; return build(g) }
	m, err := s.tryCompile(dtype, false)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	tape.planned = false
	for _, o := range tape.ops { // plan again, as if for the first time
		for _, b := range append([]*buffer{o.out}, o.aux...) {
			if b != nil {
				*b = buffer{dtype: b.dtype, n: b.n, inPlace: b.inPlace, first: -1}
			}
		}
	}
	bytes = pinAll(tape)
	if m.plan, err = tape.Plan(false); err != nil {
		t.Fatal(err)
	}
	return m, bytes
}

// TestPlanChangesNothing compares a decoder in planned, poisoned memory with one
// in which every value has memory of its own.
func TestPlanChangesNothing(t *testing.T) {
	s := decoderOf(mediumDecoder)
	free, bytes := s.unplanned(t, tensor.Float32)
	planned := s.compile(t, tensor.Float32)
	sameResult(t, planned.result(t), free.result(t), 0)
	if got := planned.plan.Bytes(); got*2 > bytes {
		t.Errorf("planned %d bytes, all values together are %d: want less than half", got, bytes)
	}
}

// A pinned value in the middle keeps its contents until the next run.
func TestPinned(t *testing.T) {
	tp := NewTape(tensor.Float64, false)
	x := tp.Input("x", array{[]int{1, 3}, []float64{-1, 2, 3}}.dense(tensor.Float64))
	tap := Activation(tp, "relu", x)
	view := tap
	for range 5 {
		view = Activation(tp, "tanh", view)
	}
	plan, err := tp.Plan(true, tap, view)
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(&Arena{})
	if err := tp.Run(G.NewTapeMachine(tp.Graph)); err != nil {
		t.Fatal(err)
	}
	same(t, "tap", float64s(tap.Value()), []float64{0, 2, 3}, 0)
}

// TestSharedArena runs plans of two sizes in turn in one arena.
func TestSharedArena(t *testing.T) {
	small := decoderOf(decoderSize{layers: 1, width: 8, hidden: 12, vocab: 7, batch: 1, length: 5})
	subjects := []subject{small, decoderOf(mediumDecoder)}
	var arena Arena
	var machines []*machine
	var want []result
	for _, s := range subjects {
		want = append(want, s.compile(t, tensor.Float32).result(t))
		m := s.compile(t, tensor.Float32)
		m.arena = &arena
		machines = append(machines, m)
	}
	for _, i := range []int{0, 0, 1, 0, 1, 1, 0} {
		sameResult(t, machines[i].result(t), want[i], 0)
	}
	if got, want := arena.Bytes(), machines[1].plan.Bytes(); got != want {
		t.Errorf("arena of %d bytes, want the larger plan's %d", got, want)
	}
}

var underRace bool // see race_test.go

// TestRunAllocatesNoTensor counts the bytes that a second run allocates: the tape
// machine's own bookkeeping, not a value.
func TestRunAllocatesNoTensor(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	m := decoderOf(mediumDecoder).compile(t, tensor.Float32)
	smallest := mediumDecoder.batch * mediumDecoder.length * mediumDecoder.width * 4 // an activation
	for range 2 {
		if err := m.run(); err != nil {
			t.Fatal(err)
		}
	}
	best := uint64(1 << 62) // other goroutines may allocate meanwhile
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := m.run(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		best = min(best, after.TotalAlloc-before.TotalAlloc)
	}
	perOperator := best / uint64(len(m.tape.ops))
	t.Logf("%d bytes in a run of %d operators, %d planned", best, len(m.tape.ops), m.plan.Bytes())
	if perOperator > 1024 || m.plan.Bytes() < 20*smallest {
		t.Errorf("a run allocates %d bytes, %d an operator; an activation is %d, the plan %d", best, perOperator, smallest, m.plan.Bytes())
	}
}

// TestThreads compares runs on one and on several threads bit for bit.
func TestThreads(t *testing.T) {
	t.Cleanup(func() { kernel.SetThreads(0) })
	for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		m := decoderOf(mediumDecoder).compile(t, dtype)
		kernel.SetThreads(1)
		want := m.result(t)
		for _, threads := range []int{2, 3} {
			t.Run(fmt.Sprintf("%v %d threads", dtype, threads), func(t *testing.T) {
				kernel.SetThreads(threads)
				sameResult(t, m.result(t), want, 0)
			})
		}
	}
}
