package tests

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

// joint is a kind of attention from outside: each head's query is its key as well.
type joint struct {
	Bias bool `toml:"bias" doc:"a bias in the matrix of queries and keys"`
}

func (joint) Validate(*configs.Report)                           {}
func (joint) ValidateHeads(r *configs.Report, h attention.Heads) { r.AtLeast("n_head", 1) }
func (joint) Shape(h attention.Heads, dModel int) attention.Shape {
	width := h.NHead * h.Dim(dModel)
	return attention.Shape{
		KVHeads: h.NHead, Shared: width, Parameters: 3 * float64(dModel) * float64(width),
		Cache: op.CacheLayout{KVHeads: h.NHead, KeyDim: h.Dim(dModel), ValueDim: h.Dim(dModel)},
	}
}

func (k joint) New(b *nn.Builder, cfg attention.LayerConfig) attention.Attention {
	width := cfg.NHead * cfg.Dim(cfg.DModel)
	return jointLayer{
		b: b, cfg: cfg,
		qk: nn.NewLinear(b.Sub("qk_proj"), cfg.DModel, width, k.Bias, cfg.Init),
		v:  nn.NewLinear(b.Sub("v_proj"), cfg.DModel, width, false, cfg.Init),
		o:  nn.NewLinear(b.Sub("o_proj"), width, cfg.DModel, false, cfg.OutInit),
	}
}

// jointLayer is the layer of joint.
type jointLayer struct {
	b        *nn.Builder
	cfg      attention.LayerConfig
	qk, v, o nn.Linear
}

func (l jointLayer) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	qk := l.cfg.Rotate(l.b, l.qk.Forward(x), seq) // [B*T, H*K]
	return l.o.Forward(attention.Attend(l.b, qk, qk, l.v.Forward(x), seq, layer, op.AttentionShape{
		Heads: l.cfg.NHead, KVHeads: l.cfg.NHead, HeadDim: l.cfg.Dim(l.cfg.DModel), Causal: l.cfg.Causal,
	}))
}

// TestAttentionKindFromOutside: an attention that a caller adds to the list is chosen by a config, trains, writes the sample at
// the end from its cache, resumes, is opened and evaluated, and its own matrices are compressed and verified.
func TestAttentionKindFromOutside(t *testing.T) {
	dir := workplace(t)
	o := outsider{
		name: "joint", beside: "mfa_kr", lists: configs.With(recipe.Lists(), configs.Choice[attention.Kind]{Name: "joint", New: func() attention.Kind { return joint{} }}),
		dir: dir, set: []string{corpusIn(dir), `model.attention={kind="joint",n_head=2,bias=true}`, `sample.prompt="func"`, "sample.tokens=8"},
		steps: 3, stop: 2, around: "*.self_attn.*",
	}
	o.train(t)
	o.holds(t, "model.layers.0.self_attn.", "o_proj.weight", "qk_proj.bias", "qk_proj.weight", "v_proj.weight")
	o.compress(t, map[string]string{"model.layers.0.self_attn.qk_proj": "low_rank"})
	cfg, err := recipe.Load(filepath.Join(dir, "tiny.toml"), o.set, o.lists)
	if err != nil {
		t.Fatal(err)
	}
	sizes := cfg.Model.Body().(decoder.Config).Sizes(256)
	if w, p := sizes.Work(10), sizes.Parameters(); w.KVBytes != 10*2*16 || w.LinearFLOPs != 2*3*16*16 || p.AttentionPerLayer != 3*16*16 {
		t.Errorf("it costs %+v of %+v", w, p)
	}
}

// rows is a kind of attention over maps from outside: every pixel attends to those of its row.
type rows struct {
	Values bool `toml:"values" doc:"values have a matrix of their own"`
}

func (rows) Validate(*configs.Report) {}

func (rows) Check(l attention.MapLayer, _, _ int) error {
	if l.DModel%l.NHead != 0 {
		return fmt.Errorf("rows: %d heads for %d channels", l.NHead, l.DModel)
	}
	return nil
}

func (k rows) Shape(l attention.MapLayer, height, width int) attention.MapShape {
	n, products := height*width, 2*height*width*width*l.DModel
	matrices := 1
	if k.Values {
		matrices = 2
	}
	return attention.MapShape{Parameters: matrices*l.DModel*l.DModel + l.DModel, MACs: n*matrices*l.DModel*l.DModel + products, Products: products}
}

func (k rows) New(b *nn.Builder, l attention.MapLayer, _, _ int) attention.MapAttention {
	layer := rowsLayer{b: b, cfg: l, out: nn.NewLinear(b.Sub("out"), l.DModel, l.DModel, true, l.Init)}
	if k.Values {
		layer.values = nn.NewLinear(b.Sub("values"), l.DModel, l.DModel, false, l.Init)
	}
	return layer
}

// rowsLayer is the layer of rows.
type rowsLayer struct {
	b           *nn.Builder
	cfg         attention.MapLayer
	values, out nn.Linear
}

func (l rowsLayer) Forward(x *G.Node, m op.Map) *G.Node {
	set := op.KeySet{Keys: m.Width, Heads: l.cfg.NHead, HeadDim: l.cfg.DModel / l.cfg.NHead}
	v := x
	if l.values != nil {
		v = l.values.Forward(x)
	}
	return l.out.Forward(op.SetAttention(l.b.Tape, x, m.Batch*m.Height, []op.KeySet{set}, x, v))
}

// imagesConfig is tiny.toml for TestMapFromOutside.
const imagesConfig = `name = "tiny"
[data]
source = "image_folder"
root = "images"
validation_share = 0.25
[model]
kind = "favit"
[model.favit]
variant = "tiny"
widths = [8, 8, 8]
depths = [1, 1, 1]
heads = [1, 2, 2]
mlp_ratios = [1, 1, 1]
attention = "rows"
values = true
[train]
batch_size = 4
warmup_steps = 1
[eval]
every = 2
[checkpoint]
every = 2
`

// TestMapFromOutside: so does an attention over maps, in an image classifier.
func TestMapFromOutside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tiny.toml"), []byte(imagesConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		x := image.NewGray(image.Rect(0, 0, 12, 12))
		for p := range x.Pix {
			x.Pix[p] = uint8(40*(i%2)*(p%12) + 3*i)
		}
		name := filepath.Join(dir, "images", []string{"even", "odd"}[i%2], fmt.Sprintf("%02d.png", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, x); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	o := outsider{
		name: "rows", beside: "fasa", lists: configs.With(recipe.Lists(), configs.Choice[attention.Map]{Name: "rows", New: func() attention.Map { return rows{} }}),
		dir: dir, set: []string{fmt.Sprintf("data.root=%q", filepath.ToSlash(filepath.Join(dir, "images")))}, steps: 3, stop: 2, around: "*.attn.*",
	}
	o.train(t)
	o.holds(t, "block2.0.attn.", "out.bias", "out.weight", "values.weight")
	o.compress(t, map[string]string{"block2.0.attn.out": "low_rank"})
}
