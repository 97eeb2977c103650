package cost

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/attention"
	"sparrow/configs"
)

// a small model whose counts are easily done by hand: d = 10, two heads of 3, one layer.
func small(kind attention.Kind) Config {
	return Config{
		Name: "small", NLayer: 1, DModel: 10, VocabSize: 7,
		Attention: Attention{OneOf: attention.As(kind), NHead: 2, HeadDim: 3},
		FFN:       FFN{Gated: true, DenseLayers: 1, DenseWidth: 11},
	}
}

// TestCountsByHand: cache, products, projections and parameters of each kind (core-papers 3.1, 3.6).
func TestCountsByHand(t *testing.T) {
	with := func(kind attention.Kind, change func(*Config)) Config {
		c := small(kind)
		change(&c)
		return c
	}
	mha, rank := attention.MHA{}, attention.Factors{QRank: 4}
	for _, c := range []struct {
		name                                   string
		model                                  Config
		kv, attention, linear, ffn, parameters float64
	}{
		// q, k, v, o of 10 x 6
		{"mha", small(mha), 12 * 5, 4 * 2 * 3 * 5, 2 * 240, 2 * 330, 240},
		{"gqa", with(attention.GQA{}, func(c *Config) { c.Attention.NKVHead = 1 }), 6 * 5, 120, 2 * 180, 2 * 330, 180},
		{"mqa", small(attention.MQA{}), 6 * 5, 120, 2 * 180, 2 * 330, 180},
		// S_Q 10 x 4, Q 4 x 6, S_K and S_V 10 x 3, W_O 6 x 10
		{"mfa", small(attention.MFA{Factors: rank}), 6 * 5, 120, 2 * (40 + 24 + 60 + 60), 2 * 330, 184},
		// no S_V; N 3 x 3, applied to each of two heads
		{"mfa_kr", small(attention.MFAKR{Factors: rank}), 3 * 5, 120, 2 * (40 + 24 + 30 + 60 + 18), 2 * 330, 40 + 24 + 30 + 60 + 9},
		// two O_c of 3 x 3 and one 3 x 10
		{"mfa, shared output", small(attention.MFA{Factors: attention.Factors{QRank: 4, Output: "shared"}}), 6 * 5, 120, 2 * (40 + 24 + 60 + 18 + 30), 2 * 330, 172},
		// query 10 x 4 x (2 x 5), latent 10 x (6 + 2), key and value 6 x 2 x (3 + 3), output 6 x 10
		{"mla", small(attention.MLA{QRank: 4, KVRank: 6, RopeDim: 2}), 8 * 5, 2 * 2 * 2 * 8 * 5, 2 * (40 + 40 + 80 + 72 + 60), 2 * 330, 292},
		{"mla, full query", small(attention.MLA{KVRank: 6, RopeDim: 2}), 8 * 5, 320, 2 * (100 + 80 + 72 + 60), 2 * 330, 312},
		{"mla, wide values", small(attention.MLA{KVRank: 6, RopeDim: 2, VHeadDim: 5}), 8 * 5, 320, 2 * (100 + 80 + 96 + 100), 2 * 330, 376},
		{"two matrices", with(mha, func(c *Config) { c.FFN.Gated = false }), 60, 120, 480, 2 * 220, 240},
		{"experts", with(mha, func(c *Config) { c.FFN = FFN{Gated: true, NExpert: 5, TopK: 2, ExpertWidth: 3, SharedWidth: 1} }), 60, 120, 480, 2 * 3 * 10 * 7, 240},
	} {
		w := c.model.Work(5)
		if want := (Work{c.kv, c.attention, c.linear, c.ffn}); w != want {
			t.Errorf("%s: work %+v, want %+v", c.name, w, want)
		}
		if got := c.model.Parameters().AttentionPerLayer; got != c.parameters {
			t.Errorf("%s: %v parameters of attention, want %v", c.name, got, c.parameters)
		}
	}
}

// TestParametersByHand: embeddings once or twice, experts all in total and some in activated, the router in both.
func TestParametersByHand(t *testing.T) {
	c := small(attention.MHA{})
	if p := c.Parameters(); p.Total != 240+330+140 || p.Activated != 240+330+70 {
		t.Errorf("dense: %+v, want 710 and 640", p)
	}
	c.Tied = true
	if p := c.Parameters(); p.Total != 640 || p.Activated != 640 {
		t.Errorf("tied: %+v, want 640 and 640", p)
	}
	c.FFN = FFN{Gated: true, NExpert: 5, TopK: 2, ExpertWidth: 3, SharedWidth: 1}
	if p := c.Parameters(); p.Total != 240+30*16+50+70 || p.Activated != 240+30*7+50+70 {
		t.Errorf("experts: %+v, want 840 and 570", p)
	}
}

// TestMistakes: each is reported with its line and what was wanted.
func TestMistakes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "configs", "cost", "step3.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "n_layer =", "n_layers =", `unknown key "n_layers"; did you mean "n_layer"?`},
		{"no name", `name = "Step-3"`, "", "name"},
		{"no layers", "n_layer = 61", "n_layer = 0", "n_layer = 0 is out of range; want 1 to 16777216"},
		{"unknown kind", `kind = "mfa"`, `kind = "mfo"`, "is unknown; want one of mha, gqa, mqa, mfa, mfa_kr, mla"},
		{"negative C_q", "q_rank = 2048", "q_rank = -1", "q_rank = -1 is negative"},
		{"huge C_q", "q_rank = 2048", "q_rank = 9000000000000000000", "[attention] kind = \"mfa\" makes something of a size that is out of range; want at most 33554432"},
		{"huge kv_rank", "kind = \"mfa\"\nn_head = 64\nhead_dim = 256", "kind = \"mla\"\nn_head = 64\nhead_dim = 256\nrope_dim = 64\nkv_rank = 9223372036854775807", "[attention] kind = \"mla\" makes something of a size that is out of range"},
		{"no head_dim", "head_dim = 256", "", "head_dim = 0 is out of range; want 1 to 16777216"},
		{"a size of another kind", "head_dim = 256", "head_dim = 256\nkv_rank = 4", `unknown key "kv_rank" in [attention] of kind = "mfa"; it is a key of mla`},
		{"key heads that do not divide", `kind = "mfa"`, "kind = \"gqa\"\nn_kv_head = 5", "n_kv_head = 5 does not divide n_head = 64"},
		{"an output of another kind", "q_rank = 2048", "q_rank = 2048\noutput = \"half\"", `output = "half" is unknown; want one of full, shared`},
		{"dense layers", "dense_layers = 5", "dense_layers = 62", "dense_layers = 62 is more than n_layer = 61"},
		{"no room for experts", "dense_layers = 5", "dense_layers = 61", "n_expert = 48 has no layer to be in"},
		{"layers without FFN", "n_expert = 48\ntop_k = 3\nexpert_width = 5120\nshared_width = 5120", "", "leaves 56 of n_layer = 61 layers without an FFN"},
		{"experts' keys without experts", "n_expert = 48\n", "", "top_k = 3 wants n_expert"},
		{"more than there are", "top_k = 3", "top_k = 49", "top_k = 49 is more than n_expert = 48"},
		{"no dense width", "dense_width = 18432", "", "dense_width = 0 is out of range"},
		{"a width without a layer", "dense_layers = 5", "dense_layers = 0", "dense_width = 18432 has no layer to be in"},
		{"huge", "vocab_size = 128815", "vocab_size = 99999999", "vocab_size = 99999999 is out of range"},
	} {
		file := filepath.Join(t.TempDir(), "a.toml")
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if changed == string(text) {
			t.Fatalf("%s: the shipped config has no %q", c.name, c.old)
		}
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file); !errors.Is(err, configs.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.name, err, c.want)
		}
	}
}

// TestCheapestFirstOfEquals: equal cards leave the first; one card is its own pair.
func TestCheapestFirstOfEquals(t *testing.T) {
	w := small(attention.MHA{}).Work(100)
	twin := Cards[0]
	twin.Name = "twin"
	if p := Cheapest(w, []Card{Cards[0], twin}); p.Attention.Name != "h800" || p.FFN.Name != "h800" {
		t.Errorf("got %s and %s, want h800 twice", p.Attention.Name, p.FFN.Name)
	}
	if p := Cheapest(w, Cards[1:2]); p.Attention.Name != "h20" || p.FFN.Name != "h20" {
		t.Errorf("got %s and %s, want h20 twice", p.Attention.Name, p.FFN.Name)
	}
}
