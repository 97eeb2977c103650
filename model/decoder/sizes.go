package decoder

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/cost"
)

// Sizes is a decoder as package cost counts it, with factored layers as the dense ones that they stand for.
func (c Config) Sizes(vocab int) cost.Config {
	a := c.Attention
	return cost.Config{
		NLayer: c.NLayer, DModel: c.DModel, VocabSize: vocab, Tied: c.Tied,
		Attention: cost.Attention{OneOf: a.OneOf, NHead: a.NHead, NKVHead: a.NKVHead, HeadDim: a.Dim(c.DModel)},
		FFN:       cost.FFN{Gated: c.MLP == "swiglu", DenseLayers: c.NLayer, DenseWidth: c.HiddenWidth()},
	}
}

// AttentionCost is what a decoder's attention holds and does.
type AttentionCost struct {
	Kind            string  `json:"kind"`
	Weights         int     `json:"weights"`           // of the matrices of all layers, as dense ones
	CacheBytes      int     `json:"cache_bytes"`       // of a token in one layer
	CacheBytesTotal int     `json:"cache_bytes_total"` // of a token in all layers
	FLOPsPerByte    float64 `json:"flops_per_byte"`    // of the cache, that decoding a token computes: its arithmetic intensity
}

// AttentionCost is that of a network over float32, with its cache in 8 bits if int8s
// says so.
func (c Config) AttentionCost(int8s bool) *AttentionCost {
	a, d := c.Attention, c.DModel
	cost := AttentionCost{Kind: a.Name, Weights: c.NLayer * int(a.Parameters(d)), CacheBytes: a.CacheBytesPerToken(d, tensor.Float32, int8s)}
	cost.CacheBytesTotal = c.NLayer * cost.CacheBytes
	cost.FLOPsPerByte = a.DecodeFLOPs(d, 1) / float64(cost.CacheBytes)
	return &cost
}

// CacheBytes implements model.Cached.
func (c Config) CacheBytes(int8s bool) int { return c.AttentionCost(int8s).CacheBytesTotal }

// String is the cost in two lines, for people.
func (c AttentionCost) String() string {
	return fmt.Sprintf("attention   %s, %d weights, %.3g FLOPs a byte of cache\ncache       %d bytes a token, %d a layer",
		c.Kind, c.Weights, c.FLOPsPerByte, c.CacheBytesTotal, c.CacheBytes)
}
