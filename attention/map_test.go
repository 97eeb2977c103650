package attention_test

import (
	"fmt"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// TestGlobal: attention to every pixel is multi-head attention over the map's pixels.
func TestGlobal(t *testing.T) {
	m := op.Map{Batch: 2, Height: 2, Width: 3}
	l := attention.MapLayer{DModel: 4, NHead: 2, Bias: true, Init: nn.Normal(0.5)}
	mha := attention.LayerConfig{
		Config: attention.Of(attention.MHA{Projections: attention.Projections{Bias: true}}, attention.Heads{NHead: 2}), DModel: 4, Init: l.Init, OutInit: l.Init,
	}
	global := onMaps(func(b *nn.Builder) *G.Node {
		return attention.Global{}.New(b, l, 2, 3).Forward(nntest.Input(b, "x", m.Rows(), 4), m)
	})
	plain := onMaps(func(b *nn.Builder) *G.Node {
		x := nntest.Input(b, "x", m.Rows(), 4)
		return attention.New(b, mha).Forward(x, nn.SeqInfo{Batch: 2, SeqLen: 6}, 0)
	})
	targets := make([]int, m.Rows())
	if got, want := fmt.Sprint(global.run(t, targets)), fmt.Sprint(plain.run(t, targets)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	shape := attention.Global{}.Shape(l, 2, 3)
	if got := global.store.Parameters() - m.Rows()*4; got != shape.Parameters {
		t.Errorf("%d parameters, by the formula %d", got, shape.Parameters)
	}
	if want := (attention.MapShape{Parameters: 80, MACs: 4*6*16 + 2*36*4, Products: 2 * 36 * 4}); shape != want {
		t.Errorf("shape %+v, want %+v", shape, want)
	}
}

// TestMapHeads: heads that do not divide the channels are named with the kind.
func TestMapHeads(t *testing.T) {
	l := attention.MapLayer{DModel: 32, NHead: 3, Window: 7}
	for kind, k := range map[string]attention.Map{"global": attention.Global{}, "window": attention.Window{}} {
		if err, want := k.Check(l, 8, 8), kind+": 3 heads for 32 channels; want a divisor"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// stillMap attends to nothing but each pixel itself: a kind from outside.
type stillMap struct {
	Layers int `toml:"layers"`
}

func (stillMap) Validate(r *configs.Report)               { r.AtLeast("layers", 1) }
func (stillMap) Check(attention.MapLayer, int, int) error { return nil }
func (k stillMap) Shape(l attention.MapLayer, h, w int) attention.MapShape {
	n := k.Layers * l.DModel * l.DModel
	return attention.MapShape{Parameters: n, MACs: n * h * w}
}

func (k stillMap) New(b *nn.Builder, l attention.MapLayer, _, _ int) attention.MapAttention {
	var s stillMapLayer
	for i := range k.Layers {
		s = append(s, nn.NewLinear(b.Sub(fmt.Sprint(i)), l.DModel, l.DModel, false, l.Init))
	}
	return s
}

type stillMapLayer []nn.Linear

func (s stillMapLayer) Forward(x *G.Node, _ op.Map) *G.Node {
	for _, l := range s {
		x = l.Forward(x)
	}
	return x
}

// TestMapFromOutside: a row in the list is all that a kind needs: its keys stand beside those of the table around it.
func TestMapFromOutside(t *testing.T) {
	lists := configs.With(configs.Lists{}, attention.Maps()...)
	lists = configs.With(lists, configs.Choice[attention.Map]{Name: "still", New: func() attention.Map { return stillMap{Layers: 1} }})
	type table struct {
		Attention configs.OneOf[attention.Map] `kind:"attention"`
		Window    int                          `toml:"window"`
	}
	for text, want := range map[string]string{
		"attention = \"still\"\nlayers = 2\nwindow = 3\n": "",
		"attention = \"still\"\nlayers = 0\n":             "a.toml:2: layers = 0 is too small; want at least 1",
		"attention = \"still\"\npad = \"reflect\"\n":      `a.toml:2: unknown key "pad" of attention = "still"; it is a key of fasa`,
		"layers = 2\n":          `a.toml:1: unknown key "layers" of attention = "fasa"; it is a key of still`,
		"attention = \"lsh\"\n": `a.toml:1: attention = "lsh" is unknown; want one of fasa, global, window, still`,
	} {
		c := table{Attention: attention.OfMap(attention.DefaultFaSA())}
		err := configs.Decode("a.toml", []byte(text), &c, configs.Options{Lists: lists})
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
		if want == "" && (c.Attention.Of != stillMap{Layers: 2} || c.Window != 3) {
			t.Errorf("%q: got %+v", text, c)
		}
	}
	nntest.Check(t, nntest.Layer{
		Build: func(b *nn.Builder) *G.Node {
			m := op.Map{Batch: 1, Height: 2, Width: 2}
			layer := stillMap{Layers: 1}.New(b, attention.MapLayer{DModel: 3, Init: nn.Normal(1)}, 2, 2)
			return layer.Forward(nntest.Input(b, "x", 4, 3), m)
		},
		Naive: func(v map[string][]float64) []float64 { return project(v["x"], v["0.weight"], nil, 3) },
	})
}
