package op

import (
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestGoldenMaps compares every case of testdata/vision.npz with PyTorch.
func TestGoldenMaps(t *testing.T) {
	cases := goldenCases(t, "vision.npz")
	if len(cases) != 16 {
		t.Fatalf("%d golden cases, want 16", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := c.mapSubject(t, name)
			for dtype, tol := range goldenTol {
				want := result{y: c["y"].data, grads: map[string][]float64{}}
				for operand := range s.floats {
					if !s.frozen[operand] {
						want.grads[operand] = c["d"+operand].data
					}
				}
				sameResult(t, s.compile(t, dtype).result(t), want, tol)
			}
		})
	}
}

// mapSubject is the case as a graph with the settings of make_vision_golden.py.
func (c golden) mapSubject(t *testing.T, name string) subject {
	convs := map[string]ConvShape{
		"conv":         {Map: Map{2, 6, 5}, Kernel: 3},
		"conv_stem":    {Map: Map{2, 13, 11}, Kernel: 7, Stride: 4, Padding: 3},
		"conv_stride":  {Map: Map{2, 8, 6}, Kernel: 3, Stride: 2, Padding: 1},
		"conv_dilated": {Map: Map{1, 9, 8}, Kernel: 3, Dilation: 3, Padding: 2},
		"conv_patches": {Map: Map{2, 8, 4}, Kernel: 4, Stride: 4},
	}
	depthwise := map[string]DepthwiseShape{
		"depthwise":          {Map: Map{2, 5, 4}},
		"depthwise_residual": {Map: Map{1, 7, 7}, Residual: true},
	}
	var s subject
	switch kind, tag, _ := strings.Cut(name, "_"); kind {
	case "conv":
		s = convOf(name, convs[name], c["x"].shape[1], c["w"].shape[0], true)
	case "depthwise":
		s = depthwiseOf(name, depthwise[name], c["x"].shape[1])
	case "fuse":
		fusion, size, _ := strings.Cut(tag, "_")
		m, dilation := Map{2, 6, 9}, 1
		switch size {
		case "padded":
			m = Map{2, 7, 8}
		case "dilated":
			m, dilation = Map{2, 8, 10}, 2
		}
		s = fuseOf(fusion, m, 3, dilation, 2, 8)
	case "mean":
		s = meanTokensOf(name, 3, 7, 5)
	case "set":
		local := KeySet{Keys: 5, Heads: 2, HeadDim: 3, Query: 4, QueryStride: 6, Out: 4}
		second := local
		second.Query, second.Out = 7, 10
		s = setAttentionOf(name, 2, 9, 16, KeySet{Keys: 4, Heads: 1, HeadDim: 4}, local, second)
	case "soft":
		s = softCrossEntropyOf(name, 6, 7)
	default:
		t.Fatalf("no operator for %s", name)
	}
	for operand := range s.floats {
		s.floats[operand] = c[operand]
	}
	s.dy = c["dy"].data
	return s
}

// TestMapShapeErrors builds the operators on maps from operands of a wrong shape.
func TestMapShapeErrors(t *testing.T) {
	m := Map{2, 4, 4}
	float := func(tp *Tape, name string, shape ...int) *G.Node {
		return tp.Input(name, tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(shape...)))
	}
	param := func(tp *Tape, name string, shape ...int) Param {
		return tp.Param(name, tensor.Shape(shape), tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(shape...)), nil)
	}
	sets := func(tp *Tape, q []int, sets ...KeySet) {
		var kv []*G.Node
		for _, name := range []string{"k0", "v0", "k1", "v1"}[:2*len(sets)] {
			kv = append(kv, float(tp, name, 6, 4))
		}
		SetAttention(tp, float(tp, "q", q...), 2, sets, kv...)
	}
	for _, tc := range []struct {
		name, op, operand string
		build             func(tp *Tape)
	}{
		{"conv of other images", "conv2d", "x", func(tp *Tape) {
			Conv2d(float(tp, "x", 33, 3), param(tp, "w", 5, 3, 3, 3), nil, ConvShape{Map: m, Kernel: 3})
		}},
		{"conv of other channels", "conv2d", "weight", func(tp *Tape) {
			Conv2d(float(tp, "x", 32, 3), param(tp, "w", 5, 4, 3, 3), nil, ConvShape{Map: m, Kernel: 3})
		}},
		{"conv of another kernel", "conv2d", "weight", func(tp *Tape) {
			Conv2d(float(tp, "x", 32, 3), param(tp, "w", 5, 3, 2, 2), nil, ConvShape{Map: m, Kernel: 3})
		}},
		{"conv of too small a map", "conv2d", "x", func(tp *Tape) {
			Conv2d(float(tp, "x", 32, 3), param(tp, "w", 5, 3, 5, 5), nil, ConvShape{Map: m, Kernel: 5})
		}},
		{"conv bias", "conv2d", "bias", func(tp *Tape) {
			b := param(tp, "b", 3)
			Conv2d(float(tp, "x", 32, 3), param(tp, "w", 5, 3, 3, 3), &b, ConvShape{Map: m, Kernel: 3})
		}},
		{"depthwise of other images", "depthwise_conv", "x", func(tp *Tape) {
			DepthwiseConv(float(tp, "x", 31, 3), param(tp, "w", 3, 1, 3, 3), param(tp, "b", 3), DepthwiseShape{Map: m})
		}},
		{"depthwise weight", "depthwise_conv", "weight", func(tp *Tape) {
			DepthwiseConv(float(tp, "x", 32, 3), param(tp, "w", 3, 3, 3), param(tp, "b", 3), DepthwiseShape{Map: m})
		}},
		{"depthwise bias", "depthwise_conv", "bias", func(tp *Tape) {
			DepthwiseConv(float(tp, "x", 32, 3), param(tp, "w", 3, 1, 3, 3), param(tp, "b", 1), DepthwiseShape{Map: m})
		}},
		{"depthwise with an activation in training", "depthwise_conv", "activation", func(tp *Tape) {
			DepthwiseConv(float(tp, "x", 32, 3), param(tp, "w", 3, 1, 3, 3), param(tp, "b", 3), DepthwiseShape{Map: m, Activation: "gelu"})
		}},
		{"reshape", "reshape", "x", func(tp *Tape) { Reshape(tp, float(tp, "x", 3, 4), 5, 2) }},
		{"columns outside", "columns", "x", func(tp *Tape) { Columns(tp, float(tp, "x", 3, 4), 2, 5) }},
		{"mean of half an image", "mean_tokens", "x", func(tp *Tape) { MeanTokens(tp, float(tp, "x", 7, 4), 2) }},
		{"gather from half an image", "gather", "x", func(tp *Tape) { Gather(tp, float(tp, "x", 7, 4), 2, []int32{0}) }},
		{"gather from outside", "gather", "x", func(tp *Tape) { Gather(tp, float(tp, "x", 8, 4), 2, []int32{0, 4}) }},
		{"fuse from outside", "fuse_windows", "x", func(tp *Tape) {
			FuseWindows(tp, float(tp, "x", 8, 4), FuseShape{Batch: 2, Fusion: "mean", Taps: 2, Heads: 1, Table: []int32{0, 4}})
		}},
		{"fuse half a window", "fuse_windows", "x", func(tp *Tape) {
			FuseWindows(tp, float(tp, "x", 8, 4), FuseShape{Batch: 2, Fusion: "mean", Taps: 2, Heads: 1, Table: []int32{0, 1, 2}})
		}},
		{"fuse broken heads", "fuse_windows", "x", func(tp *Tape) {
			FuseWindows(tp, float(tp, "x", 8, 4), FuseShape{Batch: 2, Fusion: "mean", Taps: 2, Heads: 3, Table: []int32{0, 1}})
		}},
		{"drop path of half a sample", "drop_path", "x", func(tp *Tape) {
			step := tp.Input("s", tensor.New(tensor.Of(tensor.Int), tensor.WithShape(1)))
			DropPath(tp, float(tp, "x", 7, 4), step, 2, 0.5, 1)
		}},
		{"soft cross entropy targets", "soft_cross_entropy", "targets", func(tp *Tape) {
			SoftCrossEntropy(tp, float(tp, "x", 4, 5), float(tp, "t", 4, 4))
		}},
		{"set of other keys", "set_attention", "k", func(tp *Tape) { sets(tp, []int{8, 4}, KeySet{Keys: 4, Heads: 2, HeadDim: 2}) }},
		{"sets that leave columns", "set_attention", "q", func(tp *Tape) { sets(tp, []int{8, 5}, KeySet{Keys: 3, Heads: 2, HeadDim: 2}) }},
		{"sets that reach outside", "set_attention", "q", func(tp *Tape) { sets(tp, []int{8, 3}, KeySet{Keys: 3, Heads: 2, HeadDim: 2}) }},
		{"sets that overlap", "set_attention", "q", func(tp *Tape) {
			set := KeySet{Keys: 3, Heads: 2, HeadDim: 2}
			sets(tp, []int{8, 4}, set, set)
		}},
		{"regions of fewer keys", "set_attention", "regions", func(tp *Tape) {
			sets(tp, []int{8, 4}, KeySet{Keys: 3, Heads: 2, HeadDim: 2, Regions: []int32{0, 0, 1}})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := panicOf(func() { tc.build(NewTape(tensor.Float64, true)) })
			if want := "op: " + tc.op + ": " + tc.operand + " has shape"; !strings.HasPrefix(text, want) {
				t.Errorf("panics with %q, want %q...", text, want)
			}
		})
	}
}
