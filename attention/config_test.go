package attention

import (
	"strings"
	"testing"

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
		"unknown":            {`kind = "mla"`, `kind = "mla" is unknown; want one of mha, gqa, mqa`, 0},
		"no heads":           {`n_head = 0`, "n_head = 0 is too small", 0},
		"gqa without groups": {`kind = "gqa"`, "needs n_kv_head", 0},
		"uneven groups":      {"kind = \"gqa\"\nn_kv_head = 3", "n_kv_head = 3 does not divide n_head = 4", 0},
		"mha with groups":    {"n_kv_head = 2", "use kind = \"gqa\"", 0},
		"mqa with groups":    {"kind = \"mqa\"\nn_kv_head = 2", "use kind = \"gqa\"", 0},
		"negative width":     {"head_dim = -1", "head_dim = -1 is negative", 0},
		"no angles":          {"rope_theta = 0", "rope_theta = 0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			err := configs.Decode("test.toml", []byte(c.toml), nil, &cfg)
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

// TestCacheBytes: 2 G K values a token and layer.
func TestCacheBytes(t *testing.T) {
	c := DefaultConfig()
	if got := c.CacheBytesPerToken(64, 4); got != 2*4*16*4 {
		t.Errorf("mha: %d bytes", got)
	}
	c.Kind, c.HeadDim = "mqa", 24
	if got := c.CacheBytesPerToken(64, 4); got != 2*24*4 {
		t.Errorf("mqa: %d bytes", got)
	}
}
