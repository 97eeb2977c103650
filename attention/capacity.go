package attention

import "gorgonia.org/tensor"

// Sizes and costs of one layer, in the words of Hu et al. 2024 (Multi-matrix
// Factorization Attention), section 2, and of the Step-3 report (2025), section 3.
// D is the width of the model, s the number of tokens in the cache.

// Capacity is what an attention can express, seen as one bilinear form per head.
type Capacity struct {
	Heads  int
	Rank   int // factorization rank of a head (FRH): of the form between query and key
	Shared int // shared latent subspace dimension (SLSD): width of the features that keys are made from
}

// Effective is the total effective rank (TER): heads times rank.
func (c Capacity) Effective() int { return c.Heads * c.Rank }

// Capacity of the attention in a model of the given width.
func (c Config) Capacity(dModel int) Capacity {
	return Capacity{Heads: c.NHead, Rank: c.Dim(dModel), Shared: c.Shape(dModel).Shared}
}

// CacheBytesPerToken is what decoding stores of one token in one layer, int8s in 8
// bits an element, scales included.
func (c Config) CacheBytesPerToken(dModel int, dtype tensor.Dtype, int8s bool) int {
	l := c.CacheLayout(dModel)
	l.Int8 = int8s
	return l.Bytes(dtype)
}

// DecodeFLOPs is the work of the scores and of the sum of values for one new token
// over s tokens in one layer: two operations a multiply-add, softmax left out.
func (c Config) DecodeFLOPs(dModel, s int) float64 {
	l := c.CacheLayout(dModel)
	return 2 * float64(c.NHead) * float64(l.KeyDim+l.ValueDim) * float64(s)
}

// Intensity is the arithmetic intensity of decoding: FLOPs for a byte of the cache
// that is read, whatever the context and the batch, at that many bytes an element.
func (c Config) Intensity(dModel, bytes int) float64 {
	return c.DecodeFLOPs(dModel, 1) / float64(c.CacheLayout(dModel).Elements()*bytes)
}
