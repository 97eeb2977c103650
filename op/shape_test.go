package op

import (
	"errors"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestShapeErrors builds each operator from operands of a wrong shape.
func TestShapeErrors(t *testing.T) {
	float := func(tp *Tape, name string, shape ...int) *G.Node {
		return tp.Input(name, tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(shape...)))
	}
	param := func(tp *Tape, name string, shape ...int) Param {
		return tp.Param(name, tensor.Shape(shape), tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(shape...)), nil)
	}
	integers := func(tp *Tape, name string, shape ...int) *G.Node {
		return tp.Input(name, tensor.New(tensor.Of(tensor.Int), tensor.WithShape(shape...)))
	}
	attend := func(tp *Tape, q, k, v, l []int, h, g int) {
		var lengths *G.Node
		if l != nil {
			lengths = integers(tp, "lengths", l...)
		}
		shape := AttentionShape{Batch: 2, SeqLen: 3, Heads: h, KVHeads: g, HeadDim: 4}
		Attention(tp, float(tp, "q", q...), float(tp, "k", k...), float(tp, "v", v...), lengths, shape)
	}
	for _, tc := range []struct {
		name, op, operand string
		build             func(tp *Tape)
	}{
		{"linear of a vector", "linear", "x", func(tp *Tape) { Linear(float(tp, "x", 4), param(tp, "w", 3, 4), nil) }},
		{"linear of another width", "linear", "x", func(tp *Tape) { Linear(float(tp, "x", 2, 5), param(tp, "w", 3, 4), nil) }},
		{"linear with a vector for weight", "linear", "weight", func(tp *Tape) { Linear(float(tp, "x", 2, 5), param(tp, "w", 5), nil) }},
		{"linear with a bias of inputs", "linear", "bias", func(tp *Tape) {
			b := param(tp, "b", 4)
			Linear(float(tp, "x", 2, 4), param(tp, "w", 3, 4), &b)
		}},
		{"expand of a vector", "expand", "x", func(tp *Tape) { Expand(float(tp, "x", 4), param(tp, "w", 4, 3)) }},
		{"expand of another width", "expand", "x", func(tp *Tape) { Expand(float(tp, "x", 2, 3), param(tp, "w", 4, 3)) }},
		{"expand with a vector for weight", "expand", "weight", func(tp *Tape) { Expand(float(tp, "x", 2, 5), param(tp, "w", 5)) }},
		{"rms norm of a vector", "rms_norm", "x", func(tp *Tape) { RMSNorm(float(tp, "x", 4), param(tp, "w", 4), 1e-5) }},
		{"rms norm weight", "rms_norm", "weight", func(tp *Tape) { RMSNorm(float(tp, "x", 2, 4), param(tp, "w", 3), 1e-5) }},
		{"layer norm of a vector", "layer_norm", "x", func(tp *Tape) { LayerNorm(float(tp, "x", 4), param(tp, "w", 4), param(tp, "b", 4), 1e-5) }},
		{"layer norm weight", "layer_norm", "weight", func(tp *Tape) { LayerNorm(float(tp, "x", 2, 4), param(tp, "w", 3), param(tp, "b", 4), 1e-5) }},
		{"layer norm bias", "layer_norm", "bias", func(tp *Tape) { LayerNorm(float(tp, "x", 2, 4), param(tp, "w", 4), param(tp, "b", 2, 4), 1e-5) }},
		{"swiglu", "swiglu", "up", func(tp *Tape) { SwiGLU(tp, float(tp, "gate", 2, 4), float(tp, "up", 4, 2)) }},
		{"add", "add", "b", func(tp *Tape) { Add(tp, float(tp, "a", 2, 4), float(tp, "b", 4)) }},
		{"embedding of a matrix of ids", "embedding", "ids", func(tp *Tape) { Embedding(integers(tp, "ids", 2, 3), param(tp, "w", 5, 4)) }},
		{"embedding in a vector", "embedding", "weight", func(tp *Tape) { Embedding(integers(tp, "ids", 2), param(tp, "w", 5)) }},
		{"rows of a vector", "rows", "x", func(tp *Tape) { Rows(tp, float(tp, "x", 4), integers(tp, "i", 3)) }},
		{"rows by a matrix", "rows", "index", func(tp *Tape) { Rows(tp, float(tp, "x", 4, 2), integers(tp, "i", 3, 1)) }},
		{"cross entropy of a vector", "cross_entropy", "logits", func(tp *Tape) { CrossEntropy(tp, float(tp, "x", 4), integers(tp, "t", 4)) }},
		{"cross entropy targets", "cross_entropy", "targets", func(tp *Tape) { CrossEntropy(tp, float(tp, "x", 4, 5), integers(tp, "t", 5)) }},
		{"a row without its pair", "pair_cosines", "x", func(tp *Tape) { PairCosines(tp, float(tp, "x", 3, 4)) }},
		{"bag of ids", "bag", "ids", func(tp *Tape) { Bag(integers(tp, "ids", 5), float(tp, "by", 3, 2), param(tp, "w", 5, 4)) }},
		{"bag in a vector", "bag", "weight", func(tp *Tape) { Bag(integers(tp, "ids", 6), float(tp, "by", 3, 2), param(tp, "w", 5)) }},
		{"bag by a vector", "bag", "weights", func(tp *Tape) { Bag(integers(tp, "ids", 6), float(tp, "by", 6), param(tp, "w", 5, 4)) }},
		{"dots of a vector", "dots", "u", func(tp *Tape) { Dots(tp, float(tp, "u", 4), float(tp, "v", 2, 4)) }},
		{"dots of candidates", "dots", "v", func(tp *Tape) { Dots(tp, float(tp, "u", 2, 4), float(tp, "v", 3, 4)) }},
		{"scale rows by four", "scale_rows", "w", func(tp *Tape) { ScaleRows(tp, float(tp, "x", 3, 4), float(tp, "w", 4, 1), 1) }},
		{"groups of five", "sum_groups", "x", func(tp *Tape) { SumGroups(tp, float(tp, "x", 6, 4), 5) }},
		{"a view without its other", "info_nce", "x", func(tp *Tape) { InfoNCE(tp, float(tp, "x", 3, 4), integers(tp, "m", 1), 1, 1) }},
		{"marks of views", "info_nce", "marks", func(tp *Tape) { InfoNCE(tp, float(tp, "x", 4, 4), integers(tp, "m", 4), 1, 1) }},
		{"ranking of one", "ranking", "scores", func(tp *Tape) { Ranking(tp, "bpr", 0, float(tp, "s", 3, 1), nil) }},
		{"ranking flips", "ranking", "flips", func(tp *Tape) { Ranking(tp, "nbpo", 0, float(tp, "s", 3, 2), float(tp, "f", 2, 3)) }},
		{"squared error of a row", "squared_error", "x", func(tp *Tape) {
			SquaredError(tp, float(tp, "x", 1, 4), float(tp, "y", 4), integers(tp, "m", 4))
		}},
		{"squared error truth", "squared_error", "y", func(tp *Tape) {
			SquaredError(tp, float(tp, "x", 4, 1), float(tp, "y", 3), integers(tp, "m", 4))
		}},
		{"squared error marks", "squared_error", "marks", func(tp *Tape) {
			SquaredError(tp, float(tp, "x", 4, 1), float(tp, "y", 4), integers(tp, "m", 3))
		}},
		{"rotary of a vector", "rotary", "x", func(tp *Tape) {
			Rotary(tp, float(tp, "x", 8), integers(tp, "p", 8), NewRotaryTable(4, 9, 1e4, tensor.Float64))
		}},
		{"rotary positions", "rotary", "positions", func(tp *Tape) {
			Rotary(tp, float(tp, "x", 2, 8), integers(tp, "p", 3), NewRotaryTable(4, 9, 1e4, tensor.Float64))
		}},
		{"rotary of part of a head", "rotary", "x", func(tp *Tape) {
			Rotary(tp, float(tp, "x", 2, 6), integers(tp, "p", 2), NewRotaryTable(4, 9, 1e4, tensor.Float64))
		}},
		{"rotary of odd heads", "rotary", "x", func(tp *Tape) {
			Rotary(tp, float(tp, "x", 2, 6), integers(tp, "p", 2), NewRotaryTable(3, 9, 1e4, tensor.Float64))
		}},
		{"dropout step", "dropout", "step", func(tp *Tape) { Dropout(tp, float(tp, "x", 2, 6), integers(tp, "s", 2), 0.5, 1) }},
		{"attention queries", "attention", "q", func(tp *Tape) { attend(tp, []int{6, 7}, []int{6, 8}, []int{6, 8}, nil, 2, 2) }},
		{"attention keys", "attention", "k", func(tp *Tape) { attend(tp, []int{6, 8}, []int{5, 8}, []int{6, 8}, nil, 2, 2) }},
		{"attention values", "attention", "v", func(tp *Tape) { attend(tp, []int{6, 8}, []int{6, 8}, []int{6, 4}, nil, 2, 2) }},
		{"attention lengths", "attention", "lengths", func(tp *Tape) { attend(tp, []int{6, 8}, []int{6, 8}, []int{6, 8}, []int{3}, 2, 2) }},
		{"gru gates", "gru", "gates", func(tp *Tape) {
			GRU(tp, 2, 3, nil, GRUDirection{Gates: float(tp, "x", 6, 8), Weight: param(tp, "w", 12, 4), Bias: param(tp, "b", 12)})
		}},
		{"gru weight", "gru", "weight", func(tp *Tape) {
			GRU(tp, 2, 3, nil, GRUDirection{Gates: float(tp, "x", 6, 12), Weight: param(tp, "w", 8, 4), Bias: param(tp, "b", 12)})
		}},
		{"gru bias", "gru", "bias", func(tp *Tape) {
			GRU(tp, 2, 3, nil, GRUDirection{Gates: float(tp, "x", 6, 12), Weight: param(tp, "w", 12, 4), Bias: param(tp, "b", 4)})
		}},
		{"gru lengths", "gru", "lengths", func(tp *Tape) {
			GRU(tp, 2, 3, integers(tp, "l", 3), GRUDirection{Gates: float(tp, "x", 6, 12), Weight: param(tp, "w", 12, 4), Bias: param(tp, "b", 12)})
		}},
		{"head scores words", "head_scores", "words", func(tp *Tape) {
			HeadScores(tp, float(tp, "c", 1, 4), float(tp, "u", 6, 3), HeadScoresShape{Batch: 2, SeqLen: 3, Heads: 2, Rank: 2})
		}},
		{"head scores context", "head_scores", "context", func(tp *Tape) {
			HeadScores(tp, float(tp, "c", 3, 4), float(tp, "u", 6, 4), HeadScoresShape{Batch: 2, SeqLen: 3, Heads: 2, Rank: 2})
		}},
		{"time softmax scores", "time_softmax", "scores", func(tp *Tape) { TimeSoftmax(tp, float(tp, "x", 5, 2), nil, 2, 3, 1) }},
		{"time softmax lengths", "time_softmax", "lengths", func(tp *Tape) { TimeSoftmax(tp, float(tp, "x", 6, 2), integers(tp, "l", 3), 2, 3, 1) }},
		{"time mean of a vector", "time_mean", "x", func(tp *Tape) { TimeMean(tp, float(tp, "x", 6), nil, 2, 3) }},
		{"time pool weights", "time_pool", "weights", func(tp *Tape) { TimePool(tp, float(tp, "a", 5, 2), float(tp, "x", 6, 4), 2, 3) }},
		{"time pool values", "time_pool", "x", func(tp *Tape) { TimePool(tp, float(tp, "a", 6, 2), float(tp, "x", 5, 4), 2, 3) }},
		{"head penalty", "head_penalty", "weights", func(tp *Tape) { HeadPenalty(tp, float(tp, "a", 5, 2), 2, 3, 1) }},
		{"attention groups", "attention", "q", func(tp *Tape) { attend(tp, []int{6, 12}, []int{6, 8}, []int{6, 8}, nil, 3, 2) }},
		{"attention without key heads", "attention", "q", func(tp *Tape) { attend(tp, []int{6, 8}, []int{6, 8}, []int{6, 8}, nil, 2, 0) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got *ShapeError
			func() {
				defer func() {
					if err, ok := recover().(error); ok {
						errors.As(err, &got)
					}
				}()
				tc.build(NewTape(tensor.Float64, true))
			}()
			if got == nil {
				t.Fatalf("no ShapeError, want one of operand %s", tc.operand)
			}
			if got.Op != tc.op || got.What != tc.operand || !strings.Contains(got.Error(), tc.op+": "+tc.operand) {
				t.Errorf("error %q of operator %s, operand %s; want %s, %s", got, got.Op, got.What, tc.op, tc.operand)
			}
		})
	}
}

// TestRunErrors feeds values that no shape can rule out: the run reports them.
func TestRunErrors(t *testing.T) {
	shape := AttentionShape{Batch: 2, SeqLen: 3, Heads: 1, KVHeads: 1, HeadDim: 2}
	for _, tc := range []struct {
		name  string
		s     subject
		input string
		bad   []int
		want  string
	}{
		{"id above", embeddingOf("embedding", 3, 4, 2), "ids", []int{0, 4, 1}, "op: embedding: id 4 at position 1, want 0 to 3"},
		{"id below", embeddingOf("embedding", 3, 4, 2), "ids", []int{0, 1, -1}, "op: embedding: id -1 at position 2, want 0 to 3"},
		{"bag id above", bagOf("bag", 1, 3, 4, 2), "ids", []int{0, 4, 1}, "op: bag: id 4 at position 1, want 0 to 3"},
		{"row above", rowsOf("rows", 2, 4, 2), "index", []int{4, 0}, "op: rows: row 4 at position 0, want 0 to 3"},
		{"row below", rowsOf("rows", 2, 4, 2), "index", []int{0, -1}, "op: rows: row -1 at position 1, want 0 to 3"},
		{"target above", crossEntropyOf("cross entropy", 2, 5), "targets", []int{5, 0}, "op: cross_entropy: target 5 at position 0, want 0 to 4 or -1"},
		{"target below", crossEntropyOf("cross entropy", 2, 5), "targets", []int{0, -2}, "op: cross_entropy: target -2 at position 1, want 0 to 4 or -1"},
		{"position above", rotaryOf("rotary", 2, 1, 2), "positions", []int{0, 50}, "op: rotary: position 50 of row 1, want 0 to 49"},
		{"position below", rotaryOf("rotary", 2, 1, 2), "positions", []int{-1, 0}, "op: rotary: position -1 of row 0, want 0 to 49"},
		{"length above", attentionOf("attention", shape, []int{3, 3}), "lengths", []int{3, 4}, "op: attention: length 4 of sequence 1, want 0 to 3"},
		{"length below", attentionOf("attention", shape, []int{3, 3}), "lengths", []int{-1, 3}, "op: attention: length -1 of sequence 0, want 0 to 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := tc.s.compile(t, tensor.Float64)
			good := m.result(t)
			saved := append([]int{}, m.ints[tc.input].Ints()...)
			copy(m.ints[tc.input].Ints(), tc.bad)
			if err := m.run(); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
			copy(m.ints[tc.input].Ints(), saved)
			sameResult(t, m.result(t), good, 0) // a run that failed leaves nothing behind
		})
	}
}

// A panic inside an operator is an error of the run that names the operator.
func TestPanicInOperator(t *testing.T) {
	for name, cause := range map[string]any{"error": errors.New("broken"), "text": "broken"} {
		t.Run(name, func(t *testing.T) {
			s := addOf("add", 2, 3)
			s.build = func(g *graph) *G.Node {
				y := Add(g.tape, g.x("a"), g.x("b"))
				o := g.tape.operator("faulty", y.Shape().Clone())
				o.run = func([]G.Value, *tensor.Dense) error { panic(cause) }
				o.grad = func(_ *operator, _ G.Nodes, _, dy *G.Node) G.Nodes { return G.Nodes{dy} }
				return g.tape.apply(o, y)
			}
			err := s.compile(t, tensor.Float64).run()
			if err == nil || !strings.HasPrefix(err.Error(), "op: faulty: ") || !strings.Contains(err.Error(), "broken") {
				t.Errorf("error %v, want one of operator faulty that says broken", err)
			}
		})
	}
}

func TestUnknownActivation(t *testing.T) {
	tp := NewTape(tensor.Float64, true)
	x := tp.Input("x", tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(2, 2)))
	if got := panicOf(func() { Activation(tp, "swish", x) }); !strings.Contains(got, `no activation "swish"`) {
		t.Errorf("panic %q, want one that names the activation", got)
	}
}
