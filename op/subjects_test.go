package op

import (
	"math/rand/v2"

	G "gorgonia.org/gorgonia"
)

// The operators as subjects, at any size. Operands are drawn from a fixed seed.

func source() *rand.Rand { return rand.New(rand.NewPCG(11, 7)) }

// draws fills a map of operands: name, shape, name, shape, ...
func draws(pairs ...any) map[string]array {
	r, m := source(), map[string]array{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = normal(r, pairs[i+1].([]int)...)
	}
	return m
}

func linearOf(name string, n, in, out int, bias bool) subject {
	s := subject{name: name, floats: draws("x", []int{n, in}, "w", []int{out, in})}
	if bias {
		s.floats["b"] = normal(source(), out)
	}
	s.build = func(g *graph) *G.Node {
		x, w := g.x("x"), g.p("w")
		if bias {
			b := g.p("b")
			return Linear(x, w, &b)
		}
		return Linear(x, w, nil)
	}
	return s
}

// expandOf is a product by [in, out].
func expandOf(name string, n, in, out int) subject {
	return subject{name: name, floats: draws("x", []int{n, in}, "w", []int{in, out}),
		build: func(g *graph) *G.Node { return Expand(g.x("x"), g.p("w")) }}
}

func normOf(name string, n, d int, layer bool) subject {
	s := subject{name: name, floats: draws("x", []int{n, d}, "w", []int{d})}
	if layer {
		s.floats["b"] = normal(source(), d)
	}
	s.build = func(g *graph) *G.Node {
		if layer {
			return LayerNorm(g.x("x"), g.p("w"), g.p("b"), 1e-5)
		}
		return RMSNorm(g.x("x"), g.p("w"), 1e-5)
	}
	return s
}

func activationOf(kind string, shape ...int) subject {
	return subject{name: kind, floats: draws("x", shape), build: func(g *graph) *G.Node { return Activation(g.tape, kind, g.x("x")) }}
}

func swiGLUOf(name string, shape ...int) subject {
	return subject{name: name, floats: draws("gate", shape, "up", shape),
		build: func(g *graph) *G.Node { return SwiGLU(g.tape, g.x("gate"), g.x("up")) }}
}

func addOf(name string, shape ...int) subject {
	return subject{name: name, floats: draws("a", shape, "b", shape),
		build: func(g *graph) *G.Node { return Add(g.tape, g.x("a"), g.x("b")) }}
}

func embeddingOf(name string, n, vocab, d int) subject {
	ids, r := make([]int, n), source()
	for i := range ids {
		ids[i] = r.IntN(vocab)
	}
	return subject{name: name, floats: draws("w", []int{vocab, d}), ints: map[string][]int{"ids": ids},
		build: func(g *graph) *G.Node { return Embedding(g.i("ids"), g.p("w")) }}
}

func rowsOf(name string, m, n, d int) subject {
	index, r := make([]int, m), source()
	for i := range index {
		index[i] = r.IntN(n)
	}
	return subject{name: name, floats: draws("x", []int{n, d}), ints: map[string][]int{"index": index},
		build: func(g *graph) *G.Node { return Rows(g.tape, g.x("x"), g.i("index")) }}
}

func crossEntropyOf(name string, n, vocab int) subject {
	targets, r := make([]int, n), source()
	for i := range targets {
		targets[i] = r.IntN(vocab+1) - 1 // Ignored among them
	}
	return subject{name: name, floats: draws("logits", []int{n, vocab}), ints: map[string][]int{"targets": targets},
		build: func(g *graph) *G.Node { return CrossEntropy(g.tape, g.x("logits"), g.i("targets")) }}
}

// squaredErrorOf marks every third row as ignored; the truth has no gradient.
func squaredErrorOf(name string, n int) subject {
	marks := make([]int, n)
	for i := range marks {
		marks[i] = -(i % 3 / 2)
	}
	s := subject{name: name, floats: draws("x", []int{n, 1}), ints: map[string][]int{"marks": marks}}
	s.build = func(g *graph) *G.Node {
		return SquaredError(g.tape, g.x("x"), g.tape.Input("y", truth(n).dense(g.tape.Dtype)), g.i("marks"))
	}
	return s
}

// pairCosinesOf is of n pairs.
func pairCosinesOf(name string, n, d int) subject {
	return subject{name: name, floats: draws("x", []int{2 * n, d}), build: func(g *graph) *G.Node { return PairCosines(g.tape, g.x("x")) }}
}

func truth(n int) array { return normal(rand.New(rand.NewPCG(3, 5)), n) }

func rotaryOf(name string, n, heads, k int) subject {
	positions := make([]int, n)
	for i := range positions {
		positions[i] = (i * 7) % 50
	}
	return subject{name: name, floats: draws("x", []int{n, heads * k}), ints: map[string][]int{"positions": positions},
		build: func(g *graph) *G.Node {
			return Rotary(g.tape, g.x("x"), g.i("positions"), NewRotaryTable(k, 50, 10000, g.tape.Dtype))
		}}
}

// rotaryTailOf turns the last k columns of heads of width head.
func rotaryTailOf(name string, n, heads, head, k int) subject {
	s := rotaryOf(name, n, heads, head)
	s.build = func(g *graph) *G.Node {
		return RotaryTail(g.tape, g.x("x"), g.i("positions"), NewRotaryTable(k, 50, 10000, g.tape.Dtype), head)
	}
	return s
}

// modulateOf is of a batch of n rows each.
func modulateOf(name string, batch, n, d int) subject {
	return subject{name: name, floats: draws("x", []int{batch * n, d}, "scale", []int{batch, d}, "shift", []int{batch, d}),
		build: func(g *graph) *G.Node { return Modulate(g.tape, g.x("x"), g.x("scale"), g.x("shift")) }}
}

func gateRowsOf(name string, batch, n, d int) subject {
	return subject{name: name, floats: draws("x", []int{batch * n, d}, "gate", []int{batch, d}),
		build: func(g *graph) *G.Node { return GateRows(g.tape, g.x("x"), g.x("gate")) }}
}

func gatedAddOf(name string, n, d int) subject {
	return subject{name: name, floats: draws("a", []int{n, d}, "b", []int{n, d}, "gate", []int{d}),
		build: func(g *graph) *G.Node { return GatedAdd(g.x("a"), g.x("b"), g.p("gate")) }}
}

func joinHeadsOf(name string, n, heads, own, shared int) subject {
	return subject{name: name, floats: draws("a", []int{n, heads * own}, "b", []int{n, shared}),
		build: func(g *graph) *G.Node { return JoinHeads(g.tape, g.x("a"), g.x("b"), heads) }}
}

func dropoutOf(name string, p float64, shape ...int) subject {
	return subject{name: name, floats: draws("x", shape), ints: map[string][]int{"step": {3}},
		build: func(g *graph) *G.Node { return Dropout(g.tape, g.x("x"), g.i("step"), p, 5) }}
}

// attentionOf is an attention; lengths nil: all keys are seen.
func attentionOf(name string, s AttentionShape, lengths []int) subject {
	n := s.Batch * s.SeqLen
	values := s.complete().ValueDim
	a := subject{name: name, floats: draws("q", []int{n, s.Heads * s.HeadDim}, "k", []int{n, s.KVHeads * s.HeadDim}, "v", []int{n, s.KVHeads * values})}
	if lengths != nil {
		a.ints = map[string][]int{"lengths": lengths}
	}
	a.build = func(g *graph) *G.Node {
		var l *G.Node
		if lengths != nil {
			l = g.i("lengths")
		}
		return Attention(g.tape, g.x("q"), g.x("k"), g.x("v"), l, s)
	}
	return a
}

// heads is an attention's head layout.
type heads struct {
	name          string
	queries, keys int
}

var headLayouts = []heads{{"mha", 2, 2}, {"gqa", 4, 2}, {"mqa", 3, 1}}

// tinySubjects are all operators at sizes where every element can be moved.
func tinySubjects() []subject {
	subjects := []subject{
		linearOf("linear", 3, 4, 5, false),
		linearOf("linear with bias", 3, 4, 5, true),
		linearOf("linear of one row", 1, 2, 3, true),
		linearOf("linear square", 2, 3, 3, true),
		expandOf("expand", 3, 4, 5),
		expandOf("expand of one row", 1, 3, 2),
		normOf("rms norm", 3, 5, false),
		normOf("rms norm over pieces", rowGrain+2, 3, false),
		normOf("layer norm", 3, 5, true),
		normOf("layer norm over pieces", rowGrain+2, 3, true),
		swiGLUOf("swiglu", 3, 4),
		addOf("add", 3, 4),
		embeddingOf("embedding with repeats", 7, 4, 3),
		rowsOf("rows with repeats", 7, 4, 3),
		crossEntropyOf("cross entropy", 6, 5),
		distillOf("distill", 6, 5, 0.5, 2),
		distillVectorsOf("distill vectors", 6, 5, 0.5),
		squaredErrorOf("squared error", 7),
		pairCosinesOf("pair cosines", 3, 5),
		rotaryOf("rotary", 5, 3, 4),
		rotaryTailOf("rotary tail", 5, 3, 7, 4),
		gatedAddOf("gated add", 3, 4),
		gatedAddOf("gated add over pieces", rowGrain+2, 3),
		modulateOf("modulate", 2, 3, 4),
		gateRowsOf("gate rows", 3, 2, 5),
		joinHeadsOf("join heads", 5, 3, 2, 4),
		joinHeadsOf("join one head", 5, 1, 2, 3),
		dropoutOf("dropout", 0.4, 4, 6),
		{name: "value", floats: draws("x", []int{3, 2}), build: func(g *graph) *G.Node { return Value(g.p("x")) }},
	}
	for _, kind := range []string{"silu", "gelu", "gelu_tanh", "relu", "tanh", "sigmoid"} {
		subjects = append(subjects, activationOf(kind, 3, 5))
	}
	for _, h := range headLayouts {
		for _, causal := range []bool{false, true} {
			shape := AttentionShape{Batch: 3, SeqLen: 4, Heads: h.queries, KVHeads: h.keys, HeadDim: 2, Causal: causal}
			kind := "attention " + h.name + map[bool]string{false: " bidirectional", true: " causal"}[causal]
			subjects = append(subjects, attentionOf(kind, shape, nil), attentionOf(kind+" padded", shape, []int{4, 0, 1}))
		}
	}
	for _, h := range headLayouts {
		shape := AttentionShape{Batch: 2, SeqLen: 5, Heads: h.queries, KVHeads: h.keys, HeadDim: 2} // probabilities are not kept
		subjects = append(subjects, attentionOf("attention "+h.name+" longer than wide", shape, []int{5, 3}))
		shape.Causal = true
		subjects = append(subjects, attentionOf("attention "+h.name+" longer than wide causal", shape, nil))
	}
	for _, h := range headLayouts {
		shape := AttentionShape{Batch: 2, SeqLen: 4, Heads: h.queries, KVHeads: h.keys, HeadDim: 3, ValueDim: 2, Causal: true}
		subjects = append(subjects, attentionOf("attention "+h.name+" narrow values", shape, nil))
		shape.HeadDim, shape.ValueDim = 1, 3
		subjects = append(subjects, attentionOf("attention "+h.name+" wide values", shape, nil))
	}
	subjects = append(subjects, loraSubjects()...)
	subjects = append(subjects, tinyVisionSubjects()...)
	subjects = append(subjects, gruSubjects()...)
	subjects = append(subjects, poolingSubjects()...)
	subjects = append(subjects, rankingSubjects(3, 4, 2)...)
	subjects = append(subjects, scaleRowsOf("scale rows", 4, 3), sumGroupsOf("sum groups", 3, 2, 4), infoNCEOf("info nce", 5, 3))
	scaled := AttentionShape{Batch: 1, SeqLen: 3, Heads: 1, KVHeads: 1, HeadDim: 3, Scale: 0.3}
	return append(subjects, attentionOf("attention with a scale", scaled, nil))
}

// oddSubjects are all operators at sizes with tails for every vector width, and
// over several pieces of parallel work.
func oddSubjects() []subject {
	subjects := []subject{
		linearOf("linear 129x67x35", 129, 67, 35, true),
		linearOf("linear 1x131x7", 1, 131, 7, false),
		linearOf("linear 33x1x1", 33, 1, 1, true),
		expandOf("expand 129x35x67", 129, 35, 67),
		normOf("rms norm 131x67", 131, 67, false),
		normOf("rms norm 3x2", 3, 2, false),
		normOf("layer norm 131x67", 131, 67, true),
		swiGLUOf("swiglu 131x127", 131, 127),
		addOf("add 131x127", 131, 127),
		embeddingOf("embedding 131x11x67", 131, 11, 67),
		rowsOf("rows 131x11x67", 131, 11, 67),
		bagOf("bag 131x3x67", 131, 3, 11, 67),
		dotsOf("dots 131x3x67", 131, 3, 67),
		scaleRowsOf("scale rows 131x67", 131, 67),
		sumGroupsOf("sum groups 67x3x35", 67, 3, 35),
		infoNCEOf("info nce 67x35", 67, 35),
		rankingOf("bpr", 131, 5),
		rankingOf("nbpo_o", 131, 5),
		crossEntropyOf("cross entropy 131x67", 131, 67),
		distillOf("distill 131x67", 131, 67, 0.7, 2),
		distillVectorsOf("distill vectors 131x67", 131, 67, 0.7),
		squaredErrorOf("squared error 131", 131),
		rotaryOf("rotary 67x3x22", 67, 3, 22),
		rotaryTailOf("rotary tail 67x3x29", 67, 3, 29, 22),
		gatedAddOf("gated add 131x67", 131, 67),
		modulateOf("modulate 3x67x35", 3, 67, 35),
		gateRowsOf("gate rows 3x67x35", 3, 67, 35),
		joinHeadsOf("join heads 131x3x19", 131, 3, 19, 7),
		dropoutOf("dropout 131x127", 0.1, 131, 127),
		loraOf(129, 67, 35, 5, 0, true),
		loraOf(129, 67, 35, 5, 8, true),
		denseSparseCase{3, 133, 7, 70, []int{2, 3, 1}, false, true, true, "factored"}.subject(),
		denseSparseCase{3, 133, 7, 70, []int{2, 3, 1}, true, false, true, "factored"}.subject(),
		denseSparseCase{129, 133, 7, 20, []int{2, 3, 1}, false, false, true, "materialized"}.subject(),
		gruOf("gru 3x5x19", "fr", 3, 5, 19, nil),
		gruOf("gru 35x7x9", "fr", 35, 7, 9, nil),
		gruOf("gru 17x3x50 padded", "fr", 17, 3, 50, []int{3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 1}),
	}
	for _, kind := range []string{"silu", "gelu", "gelu_tanh", "relu", "tanh", "sigmoid"} {
		subjects = append(subjects, activationOf(kind, 131, 127))
	}
	for _, h := range headLayouts {
		for _, causal := range []bool{false, true} {
			shape := AttentionShape{Batch: 2, SeqLen: 67, Heads: h.queries, KVHeads: h.keys, HeadDim: 19, Causal: causal}
			kind := "attention 67x19 " + h.name + map[bool]string{false: " bidirectional", true: " causal"}[causal]
			subjects = append(subjects, attentionOf(kind, shape, nil), attentionOf(kind+" padded", shape, []int{33, 1}))
		}
		shape := AttentionShape{Batch: 2, SeqLen: 67, Heads: h.queries, KVHeads: h.keys, HeadDim: 19, ValueDim: 13, Causal: true}
		subjects = append(subjects, attentionOf("attention 67x19x13 "+h.name, shape, nil))
	}
	for _, h := range headLayouts {
		shape := AttentionShape{Batch: 2, SeqLen: 67, Heads: h.queries, KVHeads: h.keys, HeadDim: 35, Causal: h.name == "gqa"} // probabilities are kept
		subjects = append(subjects, attentionOf("attention 67x35 padded "+h.name, shape, []int{67, 29}))
	}
	wide := AttentionShape{Batch: 1, SeqLen: 131, Heads: 9, KVHeads: 1, HeadDim: 66, Causal: true} // several shares of dk and dv
	subjects = append(subjects, attentionOf("attention 131x66 of one key head", wide, nil))
	return append(append(subjects, oddVisionSubjects()...), oddPoolingSubjects()...)
}
