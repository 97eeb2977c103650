package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// The operators on maps as subjects, at any size.

func convOf(name string, s ConvShape, in, out int, bias bool) subject {
	c := subject{name: name, floats: draws("x", []int{s.Rows(), in}, "w", []int{out, in, s.Kernel, s.Kernel})}
	if bias {
		c.floats["b"] = normal(source(), out)
	}
	c.build = func(g *graph) *G.Node {
		x, w := g.x("x"), g.p("w")
		if bias {
			b := g.p("b")
			return Conv2d(x, w, &b, s)
		}
		return Conv2d(x, w, nil, s)
	}
	return c
}

func depthwiseOf(name string, s DepthwiseShape, c int) subject {
	return subject{name: name, floats: draws("x", []int{s.Rows(), c}, "w", []int{c, 1, 3, 3}, "b", []int{c}),
		build: func(g *graph) *G.Node { return DepthwiseConv(g.x("x"), g.p("w"), g.p("b"), s) }}
}

func reshapeOf(name string, rows, cols, toRows, toCols int) subject {
	return subject{name: name, floats: draws("x", []int{rows, cols}),
		build: func(g *graph) *G.Node { return Reshape(g.tape, g.x("x"), toRows, toCols) }}
}

// columnsOf reads x in two overlapping parts.
func columnsOf(name string, n, c, lo, hi int) subject {
	return subject{name: name, floats: draws("x", []int{n, c}),
		build: func(g *graph) *G.Node {
			x := g.x("x")
			return Add(g.tape, Columns(g.tape, x, lo, hi), Columns(g.tape, x, 0, hi-lo))
		}}
}

func meanTokensOf(name string, batch, n, c int) subject {
	return subject{name: name, floats: draws("x", []int{batch * n, c}),
		build: func(g *graph) *G.Node { return MeanTokens(g.tape, g.x("x"), batch) }}
}

// gatherOf pads an image and cuts it into windows.
func gatherOf(kind string, m Map, c int) subject {
	padded, err := PadTable(kind, m.Height, m.Width, m.Height+1, m.Width+2)
	if err != nil {
		panic(err)
	}
	table := Compose(padded, UnfoldTable(m.Height+1, m.Width+2, 2, 2, 1))
	return subject{name: "gather " + kind, floats: draws("x", []int{m.Rows(), c}),
		build: func(g *graph) *G.Node { return Gather(g.tape, g.x("x"), m.Batch, table) }}
}

func fuseOf(fusion string, m Map, kernel, dilation, heads, c int) subject {
	stride := dilation*(kernel-1) + 1
	up := func(n int) int { return (n + stride - 1) / stride * stride }
	padded, err := PadTable("reflect", m.Height, m.Width, up(m.Height), up(m.Width))
	if err != nil {
		panic(err)
	}
	s := FuseShape{Batch: m.Batch, Fusion: fusion, Taps: kernel * kernel, Heads: heads,
		Table: Compose(padded, UnfoldTable(up(m.Height), up(m.Width), kernel, stride, dilation))}
	return subject{name: fmt.Sprintf("fuse %s %dx%d dilation %d", fusion, m.Height, m.Width, dilation), floats: draws("x", []int{m.Rows(), c}),
		build: func(g *graph) *G.Node { return FuseWindows(g.tape, g.x("x"), s) }}
}

// fuseColumnsOf fuses two overlapping ranges of columns of one map.
func fuseColumnsOf(fusion string, m Map, heads, c, width int) subject {
	s := FuseShape{Batch: m.Batch, Fusion: fusion, Taps: 4, Heads: heads, Table: UnfoldTable(m.Height, m.Width, 2, 2, 1)}
	return subject{name: "fuse columns " + fusion, floats: draws("x", []int{m.Rows(), c}),
		build: func(g *graph) *G.Node {
			x, first, last := g.x("x"), s, s
			first.To = width
			last.From, last.To = c-width, c
			return Add(g.tape, FuseWindows(g.tape, x, first), FuseWindows(g.tape, x, last))
		}}
}

func dropPathOf(name string, p float64, batch, n, c int) subject {
	return subject{name: name, floats: draws("x", []int{batch * n, c}), ints: map[string][]int{"step": {3}},
		build: func(g *graph) *G.Node { return DropPath(g.tape, g.x("x"), g.i("step"), batch, p, 5) }}
}

// softCrossEntropyOf has rows of targets that sum to one, to something else and
// to zero.
func softCrossEntropyOf(name string, n, classes int) subject {
	r := source()
	targets := array{[]int{n, classes}, make([]float64, n*classes)}
	for i := range targets.data {
		if i/classes%3 != 2 {
			targets.data[i] = float64(float32(r.Float64()))
		}
	}
	return subject{name: name, floats: map[string]array{"logits": normal(r, n, classes), "targets": targets}, frozen: map[string]bool{"targets": true},
		build: func(g *graph) *G.Node { return SoftCrossEntropy(g.tape, g.x("logits"), g.p("targets").Node) }}
}

func setAttentionOf(name string, batch, queries, c int, sets ...KeySet) subject {
	pairs := []any{"q", []int{batch * queries, c}}
	for i, s := range sets {
		shape := []int{batch * s.Keys, s.Heads * s.HeadDim}
		pairs = append(pairs, fmt.Sprintf("k%d", i), shape, fmt.Sprintf("v%d", i), shape)
	}
	return subject{name: name, floats: draws(pairs...), build: func(g *graph) *G.Node {
		var kv []*G.Node
		for i := range sets {
			kv = append(kv, g.x(fmt.Sprintf("k%d", i)), g.x(fmt.Sprintf("v%d", i)))
		}
		return SetAttention(g.tape, g.x("q"), batch, sets, kv...)
	}}
}

// factorized are the sets of FaSA at some size: a global head, then heads whose
// queries are shared by two local groups.
func factorized(keysG, keysL, global, heads, local int) []KeySet {
	return []KeySet{
		{Keys: keysG, Heads: 1, HeadDim: global},
		{Keys: keysL, Heads: heads, HeadDim: local, Query: global, QueryStride: 2 * local, Out: global},
		{Keys: keysL, Heads: heads, HeadDim: local, Query: global + local, QueryStride: 2 * local, Out: global + heads*local, Scale: 0.3},
	}
}

func windowed(queries, heads, k int, regions ...int32) KeySet {
	return KeySet{Keys: queries, Heads: heads, HeadDim: k, Regions: regions}
}

func tinyVisionSubjects() []subject {
	return []subject{
		convOf("conv 3x3", ConvShape{Map: Map{2, 3, 4}, Kernel: 3, Padding: 1}, 2, 3, true),
		convOf("conv 3x3 stride 2", ConvShape{Map: Map{2, 5, 4}, Kernel: 3, Padding: 1, Stride: 2}, 2, 2, false),
		convOf("conv dilated", ConvShape{Map: Map{1, 5, 6}, Kernel: 2, Padding: 1, Dilation: 3, Stride: 2}, 1, 2, true),
		convOf("conv of patches", ConvShape{Map: Map{2, 4, 5}, Kernel: 2, Stride: 2}, 2, 2, true),
		convOf("conv 1x1", ConvShape{Map: Map{1, 2, 2}, Kernel: 1}, 2, 3, true),
		depthwiseOf("depthwise", DepthwiseShape{Map: Map{2, 3, 4}}, 3),
		depthwiseOf("depthwise residual", DepthwiseShape{Map: Map{1, 2, 1}, Residual: true}, 2),
		reshapeOf("reshape", 6, 4, 12, 2),
		columnsOf("columns", 3, 5, 2, 4),
		meanTokensOf("mean tokens", 2, 3, 4),
		gatherOf("zeros", Map{2, 3, 4}, 2),
		gatherOf("reflect", Map{2, 3, 4}, 2),
		gatherOf("replicate", Map{1, 1, 1}, 2),
		fuseOf("mean", Map{2, 4, 4}, 2, 2, 2, 4),
		fuseOf("mean", Map{1, 4, 6}, 2, 1, 1, 3),
		fuseOf("reference", Map{1, 4, 6}, 2, 1, 2, 6),
		fuseOf("reference", Map{2, 2, 2}, 2, 1, 2, 4),
		fuseColumnsOf("mean", Map{2, 2, 4}, 2, 5, 4),
		fuseColumnsOf("reference", Map{1, 4, 4}, 1, 4, 3),
		dropPathOf("drop path", 0.4, 6, 2, 3),
		softCrossEntropyOf("soft cross entropy", 4, 5),
		setAttentionOf("set attention", 2, 5, 3*2+2*2*2, append(factorized(4, 3, 2, 2, 2), KeySet{Keys: 1, Heads: 1, HeadDim: 4, Query: 10, Out: 10})...),
		setAttentionOf("set attention in shares", 1, 2*setBlock+1, 3,
			KeySet{Keys: 2, Heads: 1, HeadDim: 1}, KeySet{Keys: 3, Heads: 1, HeadDim: 2, Query: 1, Out: 1}),
		setAttentionOf("set attention in regions", 4, 3, 4, windowed(3, 2, 2, 0, 0, 0, 0, 1, 0)),
	}
}

func oddVisionSubjects() []subject {
	return []subject{
		convOf("conv 7x7 stride 4", ConvShape{Map: Map{2, 37, 29}, Kernel: 7, Padding: 3, Stride: 4}, 3, 19, true),
		convOf("conv over blocks", ConvShape{Map: Map{3, 61, 33}, Kernel: 3, Padding: 1}, 19, 7, true),
		convOf("conv dilated 33", ConvShape{Map: Map{1, 33, 17}, Kernel: 3, Padding: 2, Dilation: 4, Stride: 2}, 5, 33, false),
		depthwiseOf("depthwise 23x19x67", DepthwiseShape{Map: Map{2, 23, 19}}, 67),
		depthwiseOf("depthwise residual 7x7x131", DepthwiseShape{Map: Map{3, 7, 7}, Residual: true}, 131),
		columnsOf("columns 131x67", 131, 67, 3, 40),
		meanTokensOf("mean tokens 3x131x67", 3, 131, 67),
		gatherOf("reflect", Map{3, 11, 13}, 67),
		fuseOf("mean", Map{2, 19, 23}, 7, 1, 1, 35),
		fuseOf("mean", Map{1, 19, 23}, 7, 2, 1, 35),
		fuseOf("reference", Map{2, 19, 23}, 7, 1, 5, 35),
		fuseColumnsOf("mean", Map{3, 12, 14}, 1, 37, 19),
		dropPathOf("drop path 5x67x35", 0.4, 5, 67, 35),
		softCrossEntropyOf("soft cross entropy 131x67", 131, 67),
		setAttentionOf("set attention 131", 2, 131, 67+2*3*19, factorized(49, 37, 67, 3, 19)...),
		setAttentionOf("set attention in shares", 1, 3*setBlock+7, 4+2*3*14, factorized(49, 37, 4, 3, 14)...),
		setAttentionOf("set attention of windows", 4, 17, 38, windowed(17, 2, 19, 0, 0, 1, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0)),
	}
}
