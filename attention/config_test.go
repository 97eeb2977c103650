package attention

import (
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
)

// TestConfig: what no model can have is refused, naming the key; sizes follow
// from the kind.
func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		toml  string
		want  string // in the error; "": accepted
		heads int    // key/value heads
	}{
		"default":            {"", "", 4},
		"mqa":                {`kind = "mqa"`, "", 1},
		"gqa":                {"kind = \"gqa\"\nn_kv_head = 2", "", 2},
		"unknown":            {`kind = "lsh"`, `kind = "lsh" is unknown; want one of mha, gqa, mqa, mfa, mfa_kr, mla`, 0},
		"no heads":           {`n_head = 0`, "n_head = 0 is too small", 0},
		"gqa without groups": {`kind = "gqa"`, "needs n_kv_head", 0},
		"uneven groups":      {"kind = \"gqa\"\nn_kv_head = 3", "n_kv_head = 3 does not divide n_head = 4", 0},
		"mha with groups":    {"n_kv_head = 2", "use kind = \"gqa\"", 0},
		"mqa with groups":    {"kind = \"mqa\"\nn_kv_head = 2", "use kind = \"gqa\"", 0},
		"negative width":     {"head_dim = -1", "head_dim = -1 is negative", 0},
		"no angles":          {"rope_theta = 0", "rope_theta = 0", 0},
		"mfa":                {"kind = \"mfa\"\nhead_dim = 64\nq_rank = 128\ninter_norm = false\noutput = \"shared\"", "", 1},
		"mfa_kr":             {"kind = \"mfa_kr\"\noutput = \"full\"", "", 1},
		"mla":                {"kind = \"mla\"\nkv_rank = 32\nrope_dim = 8\nv_head_dim = 16\nq_rank = 9", "", 4},
		"mfa with groups":    {"kind = \"mfa\"\nn_kv_head = 2", "n_kv_head = 2 is not 1, as in mfa", 0},
		"mfa with biases":    {"kind = \"mfa\"\nbias = true", `unknown key "bias" of kind = "mfa"; it is a key of mha, gqa, mqa`, 0},
		"mfa with latents":   {"kind = \"mfa\"\nkv_rank = 8", `unknown key "kv_rank" of kind = "mfa"; it is a key of mla`, 0},
		"mfa, output":        {"kind = \"mfa\"\noutput = \"half\"", `output = "half" is unknown; want one of full, shared`, 0},
		"mha with a rank":    {"q_rank = 8", `unknown key "q_rank" of kind = "mha"; it is a key of mfa, mfa_kr, mla`, 0},
		"mha without norm":   {"inter_norm = false", `unknown key "inter_norm" of kind = "mha"; it is a key of mfa, mfa_kr`, 0},
		"gqa with output":    {"kind = \"gqa\"\nn_kv_head = 2\noutput = \"full\"", `unknown key "output" of kind = "gqa"; it is a key of mfa, mfa_kr`, 0},
		"mha with rope_dim":  {"rope_dim = 8", `unknown key "rope_dim" of kind = "mha"; it is a key of mla`, 0},
		"mha with values":    {"v_head_dim = 8", `unknown key "v_head_dim" of kind = "mha"; it is a key of mla`, 0},
		"negative rank":      {"kind = \"mfa\"\nq_rank = -1", "q_rank = -1 is negative", 0},
		"mla without latent": {"kind = \"mla\"\nrope_dim = 8", "kv_rank = 0 is too small", 0},
		"mla without rotary": {"kind = \"mla\"\nkv_rank = 8", "rope_dim", 0},
		"mla, odd rotary":    {"kind = \"mla\"\nkv_rank = 8\nrope_dim = 3", "rope_dim = 3 must be even and at least 2", 0},
		"mla, values":        {"kind = \"mla\"\nkv_rank = 8\nrope_dim = 2\nv_head_dim = -1", "v_head_dim = -1 is negative", 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			err := configs.Decode("test.toml", []byte(c.toml), &cfg, configs.Options{Lists: configs.With(configs.Lists{}, Kinds()...)})
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("got %v, want an error with %q", err, c.want)
			case c.want == "" && cfg.KVHeads() != c.heads:
				t.Errorf("%d key/value heads, want %d", cfg.KVHeads(), c.heads)
			}
		})
	}
}

// TestCacheBytes: 2 G K values a token and layer; in 8 bits a byte each, and four
// for the scale of each vector.
func TestCacheBytes(t *testing.T) {
	for name, c := range map[string]struct {
		Config
		float, int8s int
	}{
		"mha":    {Of(MHA{}, Heads{NHead: 4}), 2 * 4 * 16 * 4, 2 * 4 * (16 + 4)},
		"mqa":    {Of(MQA{}, Heads{NHead: 4, HeadDim: 24}), 2 * 24 * 4, 2 * (24 + 4)},
		"mfa":    {Of(MFA{}, Heads{NHead: 4, HeadDim: 24}), 2 * 24 * 4, 2 * (24 + 4)},
		"mfa_kr": {Of(MFAKR{}, Heads{NHead: 4, HeadDim: 24}), 24 * 4, 24 + 4},
		"mla":    {Of(MLA{KVRank: 20, RopeDim: 6}, Heads{NHead: 4}), 26 * 4, 26 + 2*4},
	} {
		float, int8s := c.CacheBytesPerToken(64, tensor.Float32, false), c.CacheBytesPerToken(64, tensor.Float32, true)
		if float != c.float || int8s != c.int8s {
			t.Errorf("%s: %d bytes, %d in 8 bits; want %d, %d", name, float, int8s, c.float, c.int8s)
		}
	}
}
