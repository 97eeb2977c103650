package attention

import (
	"sparrow/configs"
	"sparrow/op"
)

// Config is the [model.attention] table: the kind with its own keys, and its heads.
type Config struct {
	configs.OneOf[Kind] `doc:"attention of the blocks"`
	Heads
}

// Heads are the keys of every kind.
type Heads struct {
	NHead   int          `toml:"n_head" also:"heads|num_heads|n_heads|num_attention_heads" doc:"query heads; m of mfa"`
	NKVHead int          `toml:"n_kv_head" also:"num_key_value_heads|kv_heads|n_kv_heads" doc:"key/value heads; 0: as the kind says (mha: n_head, the others: 1)"`
	HeadDim int          `toml:"head_dim" also:"d_head|head_size" doc:"width of a head, C of mfa, of mla the part without positions; 0: d_model / n_head" unit:"neurons"`
	Theta   float64      `toml:"rope_theta" doc:"base of the rotary angles"`
	Scaling *RopeScaling `toml:"rope_scaling"` // of the rotary angles; nil: none
}

// Of is the table of a kind, which must be of one of Kinds, with its heads.
func Of(k Kind, h Heads) Config { return Config{As(k), h} }

// DefaultConfig is multi-head attention with 4 heads.
func DefaultConfig() Config {
	return Of(MHA{}, Heads{NHead: 4, Theta: 10000})
}

// Validate reports heads that no model can have, or not those of the kind.
func (c Config) Validate(r *configs.Report) {
	if c.Of == nil { // reported where the kind is read
		return
	}
	if c.NHead < 1 {
		r.AtLeast("n_head", 1)
		return
	}
	if c.HeadDim < 0 {
		r.Errorf("head_dim", "is negative; want 0 (d_model / n_head) or more")
	}
	if c.Theta <= 0 {
		r.Errorf("rope_theta", "is too small; want more than 0")
	}
	if c.NKVHead < 0 {
		r.Errorf("n_kv_head", "is negative; want 0 or more")
		return
	}
	c.Of.ValidateHeads(r, c.Heads)
}

// ValidateIn reports what does not fit a model of a width whose positions are
// rotary or not. The keys are relative to [model].
func (c Config) ValidateIn(r *configs.Report, dModel int, rotary bool) {
	if dModel < 1 || c.NHead < 1 || c.Of == nil {
		return
	}
	if c.HeadDim == 0 && dModel%c.NHead != 0 {
		r.Errorf("attention.n_head", "does not divide [model] d_model = %d", dModel)
		return
	}
	if !rotary || c.Shape(dModel).RotaryDim != 0 { // a part, whose width the kind checks
		return
	}
	switch width := c.Dim(dModel); {
	case width%2 == 0:
	case c.HeadDim > 0:
		r.Errorf("attention.head_dim", "is odd; rotary positions need an even width")
	default:
		r.Errorf("attention.n_head", "makes heads of width %d; rotary positions need an even width", width)
	}
}

// Dim is the width of a head in a model of the given width.
func (h Heads) Dim(dModel int) int {
	if h.HeadDim > 0 {
		return h.HeadDim
	}
	return dModel / h.NHead
}

// Shape is what the kind makes of the heads in a model of the given width.
func (c Config) Shape(dModel int) Shape { return c.Of.Shape(c.Heads, dModel) }

// KVHeads is the number of key/value heads whose keys and values exist side by
// side in training.
func (c Config) KVHeads() int { return c.Shape(0).KVHeads } // whatever the width

// RotaryDim is the width of the part of a head that rotary positions turn.
func (c Config) RotaryDim(dModel int) int {
	if width := c.Shape(dModel).RotaryDim; width > 0 {
		return width
	}
	return c.Dim(dModel)
}

// Parameters is the number of weights of one layer's matrices, where they are
// dense, without norms, gates and biases. It is a float64, because a config may
// ask for more than an int holds.
func (c Config) Parameters(dModel int) float64 { return c.Shape(dModel).Parameters }

// CacheLayout is what decoding stores of one token in one layer. Only keys of
// mfa_kr are stored before they are turned, because they are values, too; its
// layout lacks the table to turn them with.
func (c Config) CacheLayout(dModel int) op.CacheLayout { return c.Shape(dModel).Cache }
