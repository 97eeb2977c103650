package cost

import (
	"sparrow/attention"
	"sparrow/configs"
)

// Attention is the [attention] table: the kind with its own keys, and its heads.
type Attention struct {
	configs.OneOf[attention.Kind] `doc:"how keys and values are made"`

	NHead   int `toml:"n_head" doc:"query heads; m of mfa"`
	NKVHead int `toml:"n_kv_head" doc:"key/value heads; 0: as the kind says"`
	HeadDim int `toml:"head_dim" doc:"width of a head; of mla without the rotary part; C of mfa"`
}

// Validate reports widths that no attention has, and heads that are not the kind's.
func (a Attention) Validate(r *configs.Report) {
	inRange(r, "n_head", a.NHead, 1)
	inRange(r, "head_dim", a.HeadDim, 1)
	inRange(r, "n_kv_head", a.NKVHead, 0)
	if a.Of == nil || a.NHead < 1 || a.NHead > largest || a.HeadDim < 1 || a.HeadDim > largest || a.NKVHead < 0 || a.NKVHead > largest {
		return
	}
	a.Of.ValidateHeads(r, a.heads())
	s := a.shape(largest)
	for _, size := range []int{s.QueryRank, s.Shared, s.Cache.KeyDim, s.Cache.ValueDim} {
		if size < 0 || size > 2*largest {
			r.Errorf("kind", "makes something of a size that is out of range; want at most %d", 2*largest)
			return
		}
	}
}

func (a Attention) heads() attention.Heads {
	return attention.Heads{NHead: a.NHead, NKVHead: a.NKVHead, HeadDim: a.HeadDim}
}

// shape is what the kind makes of the heads in a model of some width.
func (a Attention) shape(dModel int) attention.Shape { return a.Of.Shape(a.heads(), dModel) }

// products are the multiply-adds of scores and of the sums of values of a layer for a token of context: over the width of key and
// value, or, where the value is a part of the key, twice over all that is cached.
func (a Attention) products(s attention.Shape) float64 {
	if s.Cache.Shared {
		return 2 * float64(a.NHead) * float64(s.Cache.KeyDim)
	}
	return float64(a.NHead) * float64(s.Cache.KeyDim+s.Cache.ValueDim)
}
