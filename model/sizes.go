package model

import (
	"cmp"

	"sparrow/cost"
)

// Sizes is a decoder as package cost counts it, with factored layers as the dense ones that they stand for.
func (c Config) Sizes(vocab int) cost.Config {
	a := c.Attention
	s := cost.Config{
		NLayer: c.NLayer, DModel: c.DModel, VocabSize: vocab, Tied: c.Tied,
		Attention: cost.Attention{Kind: a.Kind, NHead: a.NHead, HeadDim: a.Dim(c.DModel), Output: "full"},
		FFN:       cost.FFN{Gated: c.MLP == "swiglu", DenseLayers: c.NLayer, DenseWidth: c.HiddenWidth()},
	}
	switch a.Kind {
	case "gqa":
		s.Attention.NKVHead = a.KVHeads()
	case "mfa", "mfa_kr":
		s.Attention.QRank = a.QueryRank(c.DModel)
		s.Attention.Output = cmp.Or(a.Output, "full")
	case "mla":
		s.Attention.QRank, s.Attention.KVRank, s.Attention.RopeDim, s.Attention.VHeadDim = a.QRank, a.KVRank, a.RopeDim, a.VHeadDim
	}
	return s
}
