package attention_test

import (
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// still is an attention from outside: every token sees itself alone.
type still struct {
	Gain int `toml:"gain"`
}

func (k still) Validate(r *configs.Report)                       { r.AtLeast("gain", 1) }
func (still) ValidateHeads(r *configs.Report, h attention.Heads) { r.AtLeast("n_head", 2) }

func (still) Shape(_ attention.Heads, dModel int) attention.Shape {
	return attention.Shape{KVHeads: 1, Parameters: float64(dModel * dModel), Cache: op.CacheLayout{KVHeads: 1, KeyDim: 1, ValueDim: 1}}
}

func (still) New(b *nn.Builder, cfg attention.LayerConfig) attention.Attention {
	return stillLayer{nn.NewLinear(b.Sub("value"), cfg.DModel, cfg.DModel, false, cfg.Init)}
}

type stillLayer struct{ value nn.Linear }

func (l stillLayer) Forward(x *G.Node, _ nn.SeqInfo, _ int) *G.Node { return l.value.Forward(x) }

// TestKindFromOutside: a row in the list is all that a kind needs: it decodes, is checked, built and counted as any other.
func TestKindFromOutside(t *testing.T) {
	lists := configs.With(configs.Lists{}, attention.Kinds()...)
	lists = configs.With(lists, configs.Choice[attention.Kind]{Name: "still", New: func() attention.Kind { return still{Gain: 3} }})
	var table struct {
		Attention attention.Config `toml:"attention"`
	}
	table.Attention = attention.DefaultConfig()
	text := "[attention]\nkind = \"still\"\nn_head = 2\ngain = 5\n"
	if err := configs.Decode("a.toml", []byte(text), &table, configs.Options{Lists: lists}); err != nil {
		t.Fatal(err)
	}
	cfg := table.Attention
	if cfg.Of != (still{Gain: 5}) || cfg.NHead != 2 || cfg.Parameters(dModel) != dModel*dModel || cfg.CacheLayout(dModel).Elements() != 2 {
		t.Errorf("decoded %+v, %g parameters, cache %+v", cfg, cfg.Parameters(dModel), cfg.CacheLayout(dModel))
	}
	nntest.Check(t, nntest.Layer{
		Build: func(b *nn.Builder) *G.Node {
			layer := attention.New(b, attention.LayerConfig{Config: cfg, DModel: dModel, Init: nn.Normal(1)})
			return layer.Forward(nntest.Input(b, "x", batch*seqLen, dModel), nn.SeqInfo{Batch: batch, SeqLen: seqLen}, 0)
		},
		Naive: func(v map[string][]float64) []float64 { return project(v["x"], v["value.weight"], nil, dModel) },
	})
	for want, text := range map[string]string{
		"a.toml:3: [attention] gain = 0 is too small; want at least 1":                                        "[attention]\nkind = \"still\"\ngain = 0\n",
		"a.toml:3: [attention] n_head = 1 is too small; want at least 2":                                      "[attention]\nkind = \"still\"\nn_head = 1\n",
		"a.toml:2: unknown key \"gain\" in [attention] of kind = \"mha\"; it is a key of still":               "[attention]\ngain = 2\n",
		"a.toml:2: [attention] kind = \"lsh\" is unknown; want one of mha, gqa, mqa, mfa, mfa_kr, mla, still": "[attention]\nkind = \"lsh\"\n",
	} {
		table.Attention = attention.DefaultConfig()
		if err := configs.Decode("a.toml", []byte(text), &table, configs.Options{Lists: lists}); err == nil || err.Error() != want {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
	}
}
