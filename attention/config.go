package attention

import (
	"slices"
	"strings"

	"sparrow/configs"
)

// Kinds are the attentions that exist: multi-head, grouped-query and
// multi-query attention.
var Kinds = []string{"mha", "gqa", "mqa"}

// Config is the [model.attention] table.
type Config struct {
	Kind    string  `toml:"kind"`       // of Kinds
	NHead   int     `toml:"n_head"`     // query heads
	NKVHead int     `toml:"n_kv_head"`  // key/value heads of gqa; 0: as the kind says (mha: n_head, mqa: 1)
	HeadDim int     `toml:"head_dim"`   // width of a head; 0: d_model / n_head
	Bias    bool    `toml:"bias"`       // of the four projections
	Theta   float64 `toml:"rope_theta"` // base of the rotary angles
}

// DefaultConfig is multi-head attention with 4 heads.
func DefaultConfig() Config { return Config{Kind: "mha", NHead: 4, Theta: 10000} }

// Validate reports values that no model can have.
func (c Config) Validate(r *configs.Report) {
	if !slices.Contains(Kinds, c.Kind) {
		r.Errorf("kind", "is unknown; want one of %s", strings.Join(Kinds, ", "))
	}
	if c.NHead < 1 {
		r.Errorf("n_head", "is too small; want at least 1")
		return
	}
	if c.HeadDim < 0 {
		r.Errorf("head_dim", "is negative; want 0 (d_model / n_head) or more")
	}
	if c.Theta <= 0 {
		r.Errorf("rope_theta", "is too small; want more than 0")
	}
	switch {
	case c.NKVHead < 0:
		r.Errorf("n_kv_head", "is negative; want 0 or more")
	case c.Kind == "gqa" && c.NKVHead == 0:
		r.Errorf("kind", "needs n_kv_head, a divisor of n_head = %d", c.NHead)
	case c.Kind == "gqa" && c.NHead%c.NKVHead != 0:
		r.Errorf("n_kv_head", "does not divide n_head = %d", c.NHead)
	case c.Kind == "mha" && c.NKVHead != 0 && c.NKVHead != c.NHead:
		r.Errorf("n_kv_head", "is not n_head = %d, as in mha; for fewer use kind = \"gqa\"", c.NHead)
	case c.Kind == "mqa" && c.NKVHead > 1:
		r.Errorf("n_kv_head", "is not 1, as in mqa; for more use kind = \"gqa\"")
	}
}

// KVHeads is the number of key/value heads.
func (c Config) KVHeads() int {
	switch c.Kind {
	case "gqa":
		return c.NKVHead
	case "mqa":
		return 1
	}
	return c.NHead
}

// Dim is the width of a head in a model of the given width.
func (c Config) Dim(dModel int) int {
	if c.HeadDim > 0 {
		return c.HeadDim
	}
	return dModel / c.NHead
}

// CacheBytesPerToken is what decoding stores of one token in one layer.
func (c Config) CacheBytesPerToken(dModel, elementSize int) int {
	return 2 * c.KVHeads() * c.Dim(dModel) * elementSize
}
