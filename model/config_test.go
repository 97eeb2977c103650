package model

import (
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/nn"
)

// lists are the kinds that a model may have.
func lists() configs.Lists {
	return configs.With(configs.With(configs.Lists{}, attention.Kinds()...), attention.Pools()...)
}

// TestKinds: a kind brings its defaults, whatever the order of keys, and refuses
// what its network cannot be made of.
func TestKinds(t *testing.T) {
	decode := func(text string) (Config, error) {
		table := struct {
			Model Config `toml:"model"`
		}{DefaultConfig()}
		err := configs.Decode("a.toml", []byte("[model]\n"+text), &table, configs.Options{Lists: lists()})
		return table.Model, err
	}
	var bert Config
	bert.UseKind("encoder")
	for _, c := range []struct {
		name, text string
		want       func(*Config)
	}{
		{"an encoder", "kind = \"encoder\"", func(*Config) {}},
		{"keys before the kind", "d_model = 64\nnorm_eps = 1e-5\nkind = \"encoder\"", func(c *Config) { c.DModel, c.NormEps = 64, 1e-5 }},
		{"tables after it", "kind = \"encoder\"\n[model.attention]\nn_head = 8\nbias = false", func(c *Config) {
			c.Attention = attention.Of(attention.MHA{}, attention.Heads{NHead: 8, Theta: 10000})
		}},
		{"the kind that it is", "d_model = 64\nkind = \"decoder\"", func(c *Config) { *c = DefaultConfig(); c.DModel = 64 }},
	} {
		want := bert
		c.want(&want)
		got, err := decode(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got.Kind != want.Kind || got.DModel != want.DModel || got.Norm != want.Norm || got.NormEps != want.NormEps ||
			got.MLP != want.MLP || got.Positions != want.Positions || got.Bias != want.Bias || got.Dropout != want.Dropout || got.Attention != want.Attention {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"kind = \"encodr\"", "a.toml:2: [model] kind = \"encodr\" is unknown; want one of decoder, encoder, lama, favit"},
		{"kind = \"encoder\"\nmlp = \"swiglu\"", "a.toml:3: [model] mlp = \"swiglu\" is not for kind = \"encoder\"; want gelu, gelu_tanh, relu or silu"},
		{"kind = \"encoder\"\npositions = \"rotary\"", "want \"learned\""},
		{"kind = \"encoder\"\ntie_embeddings = true", "want false"},
		{"kind = \"encoder\"\n[model.attention]\nkind = \"mqa\"", "want \"mha\""},
		{"kind = \"encoder\"\n[model.attention]\nrope_theta = 500.0", "[model.attention] rope_theta = 500.0 is not for kind = \"encoder\"; want none: its positions are learned"},
		{"kind = \"lama\"\nd_model = 64", "a.toml:3: [model] d_model = 64 is not for kind = \"lama\", whose keys are those of [model.lama]"},
		{"kind = \"lama\"\n[model.attention]\nn_head = 8", "is not for kind = \"lama\""},
		{"kind = \"lama\"\n[model.lama]\nhidden = 0", "[model.lama] hidden = 0 is too small; want at least 1"},
		{"kind = \"lama\"\n[model.lama.pooling]\nheads = 0", "[model.lama.pooling] heads = 0 is too small; want at least 1"},
		{"kind = \"favit\"\nd_model = 64", "a.toml:3: [model] d_model = 64 is not for kind = \"favit\", whose keys are those of [model.favit]"},
		{"kind = \"favit\"\n[model.favit]\nvariant = \"b4\"", "[model.favit] variant = \"b4\" is unknown; want one of b0, b1, b2, b3, tiny"},
		{"kind = \"lama\"\n[model.favit]\nwindow = 7", "is for kind = \"favit\" only, but kind = \"lama\""},
		{"[model.lama]\nhidden = 8", "is for kind = \"lama\" only, but kind = \"decoder\""},
	} {
		if _, err := decode(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q in it", c.text, err, c.want)
		}
	}
}

// TestLAMAConfigDecodes: the network's own table, whichever comes first, and its
// defaults; what is written decodes to the same.
func TestLAMAConfigDecodes(t *testing.T) {
	want := DefaultLAMAConfig()
	pool := attention.DefaultLAMA()
	pool.Heads, pool.Rank = 3, 2
	want.Hidden, want.Pooling.Of = 8, pool
	const text = "[model]\nkind = \"lama\"\n[model.lama]\nhidden = 8\n[model.lama.pooling]\nheads = 3\nrank = 2\n"
	table := struct {
		Model Config `toml:"model"`
	}{DefaultConfig()}
	for range 2 { // as given, then as encoded
		if err := configs.Decode("a.toml", []byte(text), &table, configs.Options{Lists: lists()}); err != nil {
			t.Fatal(err)
		}
		if table.Model.LAMA == nil || *table.Model.LAMA != want {
			t.Fatalf("got %+v, want %+v", table.Model.LAMA, want)
		}
		written, err := configs.Encode(table)
		if err != nil {
			t.Fatal(err)
		}
		table.Model = DefaultConfig()
		if err := configs.Decode("b.toml", written, &table, configs.Options{Lists: lists()}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDimsSuitKind: a network is only made for data that it can learn from.
func TestDimsSuitKind(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		dims       Dims
		bad        string
	}{
		{"a decoder of tokens", "decoder", Dims{}, ""},
		{"a decoder of labels", "decoder", Dims{Classes: 2}, "predicts tokens, not labels"},
		{"an encoder of classes", "encoder", Dims{Classes: 2}, ""},
		{"an encoder of scores", "encoder", Dims{Regression: true}, ""},
		{"an encoder of tokens", "encoder", Dims{}, ""},
		{"a lama of classes", "lama", Dims{Classes: 2}, ""},
		{"a lama of tokens", "lama", Dims{}, "wants labelled data"},
		{"both", "encoder", Dims{Classes: 2, Regression: true}, "classes or a regression"},
	} {
		cfg := DefaultConfig()
		cfg.UseKind(c.kind)
		if c.kind != "lama" { // which is small as it is
			cfg.DModel, cfg.NLayer = 16, 1
		}
		c.dims.VocabSize, c.dims.Context = 7, 4
		_, err := cfg.NewSession(c.dims, nn.NewStore(tensor.Float32), Options{})
		if c.bad == "" && err != nil || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.bad)
		}
	}
}
