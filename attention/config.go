package attention

import (
	"slices"

	"sparrow/configs"
)

// Config is the [model.attention] table.
type Config struct {
	Kind    string  `toml:"kind" doc:"attention of the blocks" choices:"mha|gqa|mqa|mfa|mfa_kr|mla"`
	NHead   int     `toml:"n_head" doc:"query heads; m of mfa"`
	NKVHead int     `toml:"n_kv_head" doc:"key/value heads; 0: as the kind says (mha: n_head, the others: 1)"`
	HeadDim int     `toml:"head_dim" doc:"width of a head, C of mfa, of mla the part without positions; 0: d_model / n_head" unit:"neurons"`
	Bias    bool    `toml:"bias" doc:"biases in the four projections, of mha, gqa and mqa"`
	Theta   float64 `toml:"rope_theta" doc:"base of the rotary angles"`

	OutputBias *bool        `toml:"output_bias" doc:"a bias in the output projection, of mha, gqa and mqa; left out: as bias says"`
	QKNorm     *bool        `toml:"qk_norm" doc:"RMS norm of each head's query and key before positions turn them, of mha, gqa and mqa; left out: false"`
	Scaling    *RopeScaling `toml:"rope_scaling"` // of the rotary angles; nil: none

	QRank     int    `toml:"q_rank" doc:"width between the two matrices of a query, of mfa, mfa_kr (0: head_dim) and mla (0: one matrix)" unit:"neurons"`
	InterNorm bool   `toml:"inter_norm" doc:"RMS norm between the two matrices of a query, of mfa and mfa_kr"`
	Output    string `toml:"output" doc:"of mfa and mfa_kr: one matrix of all heads, or a C x C matrix a head, summed, before one projection; empty: full" choices:"|full|shared"`

	KVRank   int `toml:"kv_rank" doc:"width of the latent that keys and values are made from, of mla" unit:"neurons"`
	RopeDim  int `toml:"rope_dim" doc:"width of the key with positions, which all heads share, of mla" unit:"neurons"`
	VHeadDim int `toml:"v_head_dim" doc:"width of a head's value, of mla; 0: head_dim" unit:"neurons"`
}

// DefaultConfig is multi-head attention with 4 heads.
func DefaultConfig() Config { return Config{Kind: "mha", NHead: 4, Theta: 10000, InterNorm: true} }

// Validate reports values that no model can have, and keys of another kind.
func (c Config) Validate(r *configs.Report) {
	k, ok := c.find()
	if !ok {
		r.OneOf("kind")
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
	for _, given := range []struct {
		key string
		set bool
	}{
		{"bias", c.Bias}, {"output_bias", c.OutputBias != nil}, {"qk_norm", c.NormedHeads()}, {"q_rank", c.QRank != 0}, {"inter_norm", !c.InterNorm}, {"output", c.Output != ""},
		{"kv_rank", c.KVRank != 0}, {"rope_dim", c.RopeDim != 0}, {"v_head_dim", c.VHeadDim != 0},
	} {
		if given.set && !slices.Contains(k.keys, given.key) {
			r.Errorf(given.key, "is for %s only, but kind = %q", readers(given.key), c.Kind)
		}
	}
	if c.QRank < 0 {
		r.Errorf("q_rank", "is negative; want 0 or more")
	}
	if !slices.Contains([]string{"", "full", "shared"}, c.Output) {
		r.Errorf("output", "is unknown; want full or shared")
	}
	if c.NKVHead < 0 {
		r.Errorf("n_kv_head", "is negative; want 0 or more")
		return
	}
	k.validate(c, r)
}

// ValidateIn reports what does not fit a model of a width whose positions are
// rotary or not. The keys are relative to [model].
func (c Config) ValidateIn(r *configs.Report, dModel int, rotary bool) {
	k, ok := c.find()
	if dModel < 1 || c.NHead < 1 || !ok {
		return
	}
	if c.HeadDim == 0 && dModel%c.NHead != 0 {
		r.Errorf("attention.n_head", "does not divide [model] d_model = %d", dModel)
		return
	}
	switch width := c.RotaryDim(dModel); {
	case !rotary || width%2 == 0 || slices.Contains(k.keys, "rope_dim"): // whose width Validate checks
	case c.HeadDim > 0:
		r.Errorf("attention.head_dim", "is odd; rotary positions need an even width")
	default:
		r.Errorf("attention.n_head", "makes heads of width %d; rotary positions need an even width", width)
	}
}

// KVHeads is the number of key/value heads whose keys and values exist side by
// side in training.
func (c Config) KVHeads() int { return c.kind().kvHeads(c) }

// Dim is the width of a head in a model of the given width.
func (c Config) Dim(dModel int) int {
	if c.HeadDim > 0 {
		return c.HeadDim
	}
	return dModel / c.NHead
}

// RotaryDim is the width of the part of a head that rotary positions turn.
func (c Config) RotaryDim(dModel int) int { return c.kind().rotaryDim(c, dModel) }

// ValueDim is the width of a head's value.
func (c Config) ValueDim(dModel int) int {
	if c.VHeadDim > 0 {
		return c.VHeadDim
	}
	return c.Dim(dModel)
}

// QueryRank is the width between the two matrices that make a query, 0 if there
// is one.
func (c Config) QueryRank(dModel int) int { return c.kind().queryRank(c, dModel) }
