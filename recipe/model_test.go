package recipe

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/model/lama"
	"sparrow/nn"
)

// TestKinds: a kind brings its defaults, whatever the order of keys, and refuses
// what its network cannot be made of.
func TestKinds(t *testing.T) {
	decode := func(text string) (Model, error) {
		table := struct {
			Model Model `toml:"model"`
		}{DefaultModel()}
		err := configs.Decode("a.toml", []byte("[model]\n"+text), &table, configs.Options{Lists: Lists()})
		return table.Model, err
	}
	bert := encoder.Default()
	wider, narrow, headed := bert, decoder.Default(), bert
	wider.DModel, wider.NormEps = 64, 1e-5
	narrow.DModel = 64
	headed.Attention = attention.Of(attention.MHA{}, attention.Heads{NHead: 8, Theta: 10000})
	for _, c := range []struct {
		name, text string
		want       model.Body
	}{
		{"an encoder", "kind = \"encoder\"", bert},
		{"keys before the kind", "d_model = 64\nnorm_eps = 1e-5\nkind = \"encoder\"", wider},
		{"tables after it", "kind = \"encoder\"\n[model.attention]\nn_head = 8\nbias = false", headed},
		{"the kind that it is", "d_model = 64\nkind = \"decoder\"", narrow},
	} {
		got, err := decode(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !reflect.DeepEqual(got, ModelOf(c.want)) {
			t.Errorf("%s: %+v, want %+v", c.name, got, ModelOf(c.want))
		}
	}
	for _, c := range []struct{ text, want string }{
		{"kind = \"encodr\"", "a.toml:2: [model] kind = \"encodr\" is unknown; want one of decoder, encoder, lama, favit, vit"},
		{"kind = \"encoder\"\nmlp = \"swiglu\"", "a.toml:3: [model] mlp = \"swiglu\" is not for kind = \"encoder\"; want gelu, gelu_tanh, relu or silu"},
		{"kind = \"encoder\"\npositions = \"rotary\"", "want \"learned\""},
		{"kind = \"encoder\"\ntie_embeddings = true", "want false"},
		{"kind = \"encoder\"\n[model.attention]\nkind = \"mqa\"", "want \"mha\""},
		{"kind = \"encoder\"\n[model.attention]\nrope_theta = 500.0", "[model.attention] rope_theta = 500.0 is not for kind = \"encoder\"; want none: its positions are learned"},
		{"kind = \"lama\"\nd_model = 64", "a.toml:3: unknown key \"d_model\" in [model]; here it is called [model.lama] embed_dim"},
		{"kind = \"lama\"\n[model.attention]\nn_head = 8", "a.toml:3: unknown key \"attention\" in [model] of kind = \"lama\"; it is a key of decoder, encoder"},
		{"kind = \"lama\"\n[model.lama]\nhidden = 0", "[model.lama] hidden = 0 is too small; want at least 1"},
		{"kind = \"lama\"\n[model.lama.pooling]\nheads = 0", "[model.lama.pooling] heads = 0 is too small; want at least 1"},
		{"kind = \"favit\"\nd_model = 64", "a.toml:3: unknown key \"d_model\" in [model]; here it is called [model.favit] widths"},
		{"kind = \"favit\"\ncontext = 64", "a.toml:3: unknown key \"context\" in [model] of kind = \"favit\"; it is a key of decoder, encoder, lama"},
		{"pooler = \"relu\"", "a.toml:2: unknown key \"pooler\" in [model] of kind = \"decoder\"; it is a key of encoder"},
		{"kind = \"favit\"\n[model.favit]\nvariant = \"b4\"", "[model.favit] variant = \"b4\" is unknown; want one of b0, b1, b2, b3, tiny"},
		{"kind = \"lama\"\n[model.favit]\nwindow = 7", "a.toml:3: unknown key \"favit\" in [model] of kind = \"lama\"; it is a key of favit"},
		{"[model.lama]\nhidden = 8", "a.toml:2: unknown key \"lama\" in [model] of kind = \"decoder\"; it is a key of lama"},
	} {
		if _, err := decode(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q in it", c.text, err, c.want)
		}
	}
}

// TestLAMAConfigDecodes: the network's own table, whichever comes first, and its
// defaults; what is written decodes to the same.
func TestLAMAConfigDecodes(t *testing.T) {
	want := lama.Default()
	pool := attention.DefaultLAMA()
	pool.Heads, pool.Rank = 3, 2
	want.Hidden, want.Pooling.Of = 8, pool
	const text = "[model]\nkind = \"lama\"\n[model.lama]\nhidden = 8\n[model.lama.pooling]\nheads = 3\nrank = 2\n"
	table := struct {
		Model Model `toml:"model"`
	}{DefaultModel()}
	for range 2 { // as given, then as encoded
		if err := configs.Decode("a.toml", []byte(text), &table, configs.Options{Lists: Lists()}); err != nil {
			t.Fatal(err)
		}
		if got := table.Model.Of.(lama.Body).Config; got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		written, err := configs.Encode(table)
		if err != nil {
			t.Fatal(err)
		}
		table.Model = DefaultModel()
		if err := configs.Decode("b.toml", written, &table, configs.Options{Lists: Lists()}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDimsSuitKind: a network is only made for data that it can learn from.
func TestDimsSuitKind(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		dims       model.Dims
		bad        string
	}{
		{"a decoder of tokens", "decoder", model.Dims{}, ""},
		{"a decoder of labels", "decoder", model.Dims{Classes: 2}, "predicts tokens, not labels"},
		{"an encoder of classes", "encoder", model.Dims{Classes: 2}, ""},
		{"an encoder of scores", "encoder", model.Dims{Regression: true}, ""},
		{"an encoder of tokens", "encoder", model.Dims{}, ""},
		{"a lama of classes", "lama", model.Dims{Classes: 2}, ""},
		{"a lama of tokens", "lama", model.Dims{}, "wants labelled data"},
		{"both", "encoder", model.Dims{Classes: 2, Regression: true}, "classes or a regression"},
	} {
		cfg := DefaultModel()
		cfg.Choose(c.kind, Lists())
		switch b := cfg.Of.(type) { // a lama is small as it is
		case decoder.Config:
			b.DModel, b.NLayer = 16, 1
			cfg.Of = b
		case encoder.Config:
			b.DModel, b.NLayer = 16, 1
			cfg.Of = b
		}
		c.dims.VocabSize, c.dims.Context = 7, 4
		_, err := cfg.NewSession(c.dims, nn.NewStore(tensor.Float32), model.Options{})
		if c.bad == "" && err != nil || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.bad)
		}
	}
}

// TestNewSessionChecksConfig: a config that no network can have is an error, not
// a panic, however it was made.
func TestNewSessionChecksConfig(t *testing.T) {
	decoders := func(change func(*decoder.Config)) func(*Model) {
		return func(m *Model) { configs.Edit(&m.OneOf, change) }
	}
	for name, c := range map[string]struct {
		damage func(*Model)
		want   string
	}{
		"norm":         {decoders(func(c *decoder.Config) { c.Norm = "batch_norm" }), `model: [model] norm = "batch_norm" is unknown; want one of rms_norm, layer_norm`},
		"mlp":          {decoders(func(c *decoder.Config) { c.MLP = "maxout" }), `[model] mlp = "maxout" is unknown`},
		"heads":        {decoders(func(c *decoder.Config) { c.Attention.NHead = 0 }), `[model.attention] n_head = 0 is too small`},
		"uneven heads": {decoders(func(c *decoder.Config) { c.Attention.NHead = 3 }), `n_head = 3 does not divide [model] d_model = 256`},
		"no width":     {decoders(func(c *decoder.Config) { c.DModel = 0 }), `[model] d_model = 0 is too small`},
		"too deep":     {decoders(func(c *decoder.Config) { c.NLayer = model.MaxLayers + 1 }), `[model] n_layer = 1001 is too large; want at most 1000`},
		"sltrain mode": {func(c *Model) {
			c.Linear = []nn.Rule{{Match: "*", OneOf: nn.As(nn.SLTrain{Rank: 2, Density: 0.1, Mode: "lazy"})}}
		}, `mode = "lazy" is unknown; want one of`},
		"no rank":   {func(c *Model) { c.Linear = []nn.Rule{{Match: "*", OneOf: nn.As(nn.LowRank{})}} }, `rank = 0 is too small`},
		"zero":      {func(c *Model) { *c = Model{} }, `[model] kind = "" is unknown; want one of decoder, encoder, lama, favit, vit`},
		"bad width": {decoders(func(c *decoder.Config) { c.Attention.HeadDim = 7 }), "head_dim = 7 is odd; rotary positions need an even width"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultModel()
			c.damage(&cfg)
			_, err := cfg.NewSession(model.Dims{VocabSize: 13, Context: 8}, nn.NewStore(tensor.Float32), model.Options{})
			if !errors.Is(err, configs.ErrConfig) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a configs.ErrConfig with %q", err, c.want)
			}
		})
	}
}

// imageModel is a small network of images, and the sizes of those.
func imageModel() (Model, model.Dims) {
	f := favit.DefaultBody()
	f.Widths, f.Depths, f.Heads, f.MLPRatios, f.Reductions = []int{16, 24}, []int{2, 1}, []int{1, 3}, []int{2, 3}, []int{2, 1}
	f.StemKernel, f.StemStride, f.Window = 3, 2, 3
	return ModelOf(f), model.ImageDims(5, 15, 2)
}

// TestImageDims: networks and data that do not suit each other are refused.
func TestImageDims(t *testing.T) {
	cfg, dims := imageModel()
	b0 := ModelOf(favit.DefaultBody())
	wrong := dims
	wrong.Context++
	for _, c := range []struct {
		name string
		cfg  Model
		dims model.Dims
		want string
	}{
		{"text for favit", cfg, model.Dims{VocabSize: 10, Context: 8, Classes: 2}, "wants images"},
		{"images for a decoder", DefaultModel(), dims, "want one of favit, vit"},
		{"too small", b0, model.ImageDims(10, 28, 1), "stage 1, maps of 7x7"},
		{"context", cfg, wrong, "want what ImageDims returns"},
	} {
		if _, err := c.cfg.NewSession(c.dims, nn.NewStore(tensor.Float32), model.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
	s, err := cfg.NewSession(dims, nn.NewStore(tensor.Float32), model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Program(model.Score, model.Shape{Rows: 2, Height: dims.ImageSize, Width: dims.ImageSize - 1}); err == nil {
		t.Error("Score of other images: no error")
	}
	configs.Edit(&cfg.OneOf, func(b *favit.Body) { b.Window = 0 })
	if _, err := cfg.NewSession(dims, nn.NewStore(tensor.Float32), model.Options{}); !errors.Is(err, configs.ErrConfig) {
		t.Errorf("window = 0 of a favit: %v, want a config error", err)
	}
}
