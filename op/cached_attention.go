package op

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// KVCache holds one layer's keys and values of the tokens seen so far, head by
// head, so that a head's keys are one run of memory: [B, G, Capacity, K] each.
type KVCache struct {
	Batch, KVHeads, Capacity, HeadDim int
	Keys, Values                      *tensor.Dense
}

// NewKVCache allocates an empty cache.
func NewKVCache(dtype tensor.Dtype, batch, kvHeads, capacity, headDim int) *KVCache {
	alloc := func() *tensor.Dense {
		return tensor.New(tensor.Of(dtype), tensor.WithShape(batch, kvHeads, capacity, headDim))
	}
	return &KVCache{batch, kvHeads, capacity, headDim, alloc(), alloc()}
}

// CachedAttention is causal attention of new tokens over a cache: it appends the
// new keys and values and computes softmax(scale q Kᵀ) V over all the tokens up
// to each query. It has no backward pass.
//
// q [B*T, H*K], k and v [B*T, G*K]; past [B]: tokens already in the cache; fresh
// [B]: how many of the T new rows of a sequence count, the others are padding at
// its end and give zeros. An overflowing cache is an error of the run.
func CachedAttention(t *Tape, q, k, v, past, fresh *G.Node, cache *KVCache, s AttentionShape) *G.Node {
	if s.Scale == 0 {
		s.Scale = 1 / math.Sqrt(float64(s.HeadDim))
	}
	s.check("cached_attention", q, k, v)
	if cache.Batch != s.Batch || cache.KVHeads != s.KVHeads || cache.HeadDim != s.HeadDim || cache.Keys.Dtype() != t.Dtype {
		panic(&ShapeError{"cached_attention", "cache", cache.Keys.Shape(),
			fmt.Sprintf("[%d, %d, capacity, %d] of %v", s.Batch, s.KVHeads, s.HeadDim, t.Dtype)})
	}
	wantShape("cached_attention", "past", past, s.Batch)
	wantShape("cached_attention", "fresh", fresh, s.Batch)
	o := t.operator("cached_attention", q.Shape().Clone())
	if t.Dtype == tensor.Float32 {
		o.run = cachedAttention[float32](cache, s)
	} else {
		o.run = cachedAttention[float64](cache, s)
	}
	return t.apply(o, q, k, v, past, fresh)
}

func cachedAttention[T kernel.Float](c *KVCache, s AttentionShape) func([]G.Value, *tensor.Dense) error {
	return func(in []G.Value, out *tensor.Dense) error {
		a := &cachedRun[T]{AttentionShape: s, c: c, keys: data[T](c.Keys), values: data[T](c.Values),
			q: data[T](in[0]), k: data[T](in[1]), v: data[T](in[2]), y: data[T](out), past: ints(in[3]), fresh: ints(in[4])}
		for b := range s.Batch {
			if a.fresh[b] < 0 || a.fresh[b] > s.SeqLen || a.past[b] < 0 || a.past[b]+a.fresh[b] > c.Capacity {
				return fmt.Errorf("sequence %d: %d new tokens after %d, want at most %d new and %d in all",
					b, a.fresh[b], a.past[b], s.SeqLen, c.Capacity)
			}
		}
		kernel.Parallel(s.Batch*s.KVHeads, func(i int) { a.group(i/s.KVHeads, i%s.KVHeads) })
		return nil
	}
}

// cachedRun is one execution: the operands as slices.
type cachedRun[T kernel.Float] struct {
	AttentionShape
	c            *KVCache
	keys, values []T
	q, k, v, y   []T
	past, fresh  []int
}

// group appends to the cache of key/value head g of sequence b and computes all
// query heads that read it.
func (a *cachedRun[T]) group(b, g int) {
	K, hk, gk := a.HeadDim, a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	past, fresh := a.past[b], a.fresh[b]
	at := (b*a.KVHeads + g) * a.c.Capacity * K
	keys, values := a.keys[at:at+a.c.Capacity*K], a.values[at:at+a.c.Capacity*K]
	for i := range fresh {
		src := (b*a.SeqLen+i)*gk + g*K
		copy(keys[(past+i)*K:][:K], a.k[src:src+K])
		copy(values[(past+i)*K:][:K], a.v[src:src+K])
	}
	for i := fresh; i < a.SeqLen; i++ {
		row := (b*a.SeqLen+i)*hk + g*(a.Heads/a.KVHeads)*K
		clear(a.y[row : row+a.Heads/a.KVHeads*K])
	}
	block := attendBlock[T]{k: keys, v: values, ldk: K, headDim: K, scale: T(a.Scale)}
	group := a.Heads / a.KVHeads
	if a.SeqLen == 1 && fresh == 1 {
		// One token: the group's heads are rows of one small matrix.
		for h := g * group; h < (g+1)*group; h += queryBlock {
			row := b*hk + h*K
			block.y, block.q, block.ldq = a.y[row:], a.q[row:], K
			block.rows, block.keys = min(queryBlock, (g+1)*group-h), past+1
			block.visible = func(_, _, cols int) int { return cols }
			attend(block)
		}
		return
	}
	for h := g * group; h < (g+1)*group; h++ {
		for i0 := 0; i0 < fresh; i0 += queryBlock {
			row := (b*a.SeqLen+i0)*hk + h*K
			block.y, block.q, block.ldq = a.y[row:], a.q[row:], hk
			block.rows = min(queryBlock, fresh-i0)
			block.keys = past + i0 + block.rows
			block.visible = func(r, j0, cols int) int { return max(0, min(cols, past+i0+r+1-j0)) }
			attend(block)
		}
	}
}
