package op

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// cacheCase is a layout of the cache and the attention over it.
type cacheCase struct {
	name  string
	heads int
	l     CacheLayout
}

// cacheTokens are enough for two pieces of the cache, the second of them short.
const cacheTokens = keyPiece + keyBlock + 9

var cacheCases = []cacheCase{
	{"a key head for each", 2, CacheLayout{KVHeads: 2, KeyDim: 6, ValueDim: 6}},
	{"groups", 6, CacheLayout{KVHeads: 2, KeyDim: 6, ValueDim: 4}},
	{"one key head", 9, CacheLayout{KVHeads: 1, KeyDim: 6, ValueDim: 10}},
	{"values that are keys", 5, CacheLayout{KVHeads: 1, KeyDim: 6, ValueDim: 6, Shared: true}},
	{"values that begin keys", 5, CacheLayout{KVHeads: 1, KeyDim: 10, ValueDim: 7, Shared: true}},
	{"keys turned when read", 5, CacheLayout{KVHeads: 1, KeyDim: 6, ValueDim: 6, Shared: true, Rotary: NewRotaryTable(6, cacheTokens, 100, tensor.Float64)}},
	{"keys turned when read, and values", 4, CacheLayout{KVHeads: 2, KeyDim: 6, ValueDim: 4, Rotary: NewRotaryTable(6, cacheTokens, 100, tensor.Float64)}},
}

func (c cacheCase) shape(tokens int) AttentionShape {
	return AttentionShape{Batch: 2, SeqLen: tokens, Heads: c.heads, KVHeads: c.l.KVHeads, HeadDim: c.l.KeyDim, ValueDim: c.l.ValueDim, Causal: true}
}

// operands are the keys and values that the layout stands for.
func (c cacheCase) operands(s subject, tokens int) (k, v []float64) {
	k = slices.Clone(s.floats["k"].data)
	v = s.floats["v"].data
	if c.l.Shared {
		v = nil
		for row := 0; row < len(k); row += c.l.KeyDim {
			v = append(v, k[row:row+c.l.ValueDim]...)
		}
	}
	if c.l.Rotary != nil {
		half := c.l.KeyDim / 2
		for row := 0; row < len(k); row += c.l.KeyDim {
			cos, sin := rotaryRow[float64](c.l.Rotary, row/c.l.KeyDim/c.l.KVHeads%tokens)
			kernel.Rotate(k[row:row+half], k[row+half:row+2*half], cos, sin, false)
		}
	}
	return k, v
}

// naive is causal attention of token i of sequence b to keys k and values v.
func (c cacheCase) naive(q, k, v []float64, tokens, b, i int) (y []float64) {
	K, V, G := c.l.KeyDim, c.l.ValueDim, c.l.KVHeads
	for h := range c.heads {
		g := h / (c.heads / G)
		weights, sum, out := make([]float64, i+1), 0.0, make([]float64, V)
		for j := range weights {
			weights[j] = math.Exp(dot(q[((b*tokens+i)*c.heads+h)*K:][:K], k[((b*tokens+j)*G+g)*K:]) / math.Sqrt(float64(K)))
			sum += weights[j]
		}
		for j, w := range weights {
			for d := range out {
				out[d] += w / sum * v[((b*tokens+j)*G+g)*V+d]
			}
		}
		y = append(y, out...)
	}
	return y
}

// decode feeds a prompt and then token by token the rest, sequence 1 one token
// behind, and hands over the outputs of both sequences' tokens.
func (c cacheCase) decode(t *testing.T, s subject, whole AttentionShape, cache *KVCache, check func(b, from int, y []float64)) {
	t.Helper()
	const prompt = cacheTokens - 4
	width := whole.Heads * whole.ValueDim
	var graphs [2]*decoding
	for i, size := range []int{prompt, 1} {
		graphs[i] = newDecoding(t, cache.dtype(), c.shape(size), cache)
	}
	done := [2]int{}
	for done[1] < whole.SeqLen {
		d, size := graphs[1], 1
		if done[0] == 0 {
			d, size = graphs[0], prompt
		}
		for b := range done {
			count := min(size, whole.SeqLen-done[b])
			if done[b] == 0 && b == 1 {
				count--
			}
			d.past[b], d.fresh[b] = done[b], count
			fillRows(d.q, s.floats["q"].data, b, size, whole.SeqLen, done[b], count)
			fillRows(d.k, s.floats["k"].data, b, size, whole.SeqLen, done[b], count)
			if !c.l.Shared {
				fillRows(d.v, s.floats["v"].data, b, size, whole.SeqLen, done[b], count)
			}
		}
		y, err := d.run()
		if err != nil {
			t.Fatal(err)
		}
		for b := range done {
			check(b, done[b], y[b*size*width:][:d.fresh[b]*width])
			done[b] += d.fresh[b]
		}
	}
}

// dtype is the type of the numbers that go into the cache.
func (c *KVCache) dtype() tensor.Dtype {
	if c.keys.dense == nil {
		return tensor.Float64
	}
	return c.keys.dense.Dtype()
}

// compare decodes with a layout and compares every token after the prompt, and
// some of the prompt, with the naive form. It returns all outputs, and the largest
// difference of those compared.
func (c cacheCase) compare(t *testing.T, tol float64) (all []float64, worst float64) {
	t.Helper()
	whole := c.shape(cacheTokens)
	s := attentionOf(c.name, whole, nil)
	k, v := c.operands(s, cacheTokens)
	width := whole.Heads * whole.ValueDim
	c.decode(t, s, whole, NewKVCache(tensor.Float64, 2, cacheTokens, c.l), func(b, from int, y []float64) {
		all = append(all, y...)
		n := len(y) / width
		for i := range n {
			if n > 1 && i != 0 && i != keyBlock && i != n-1 {
				continue
			}
			want := c.naive(s.floats["q"].data, k, v, cacheTokens, b, from+i)
			got := y[i*width : (i+1)*width]
			same(t, fmt.Sprintf("sequence %d token %d", b, from+i), got, want, tol)
			for j := range got {
				worst = max(worst, math.Abs(got[j]-want[j]))
			}
		}
	})
	return all, worst
}

// TestCacheLayouts: in every layout, with caches of several pieces, outputs are
// those of attention over the whole sequences, and the same bits with one thread
// and with three.
func TestCacheLayouts(t *testing.T) {
	for _, c := range cacheCases {
		t.Run(c.name, func(t *testing.T) {
			defer kernel.SetThreads(0)
			kernel.SetThreads(1)
			one, _ := c.compare(t, 1e-12)
			kernel.SetThreads(3)
			if three, _ := c.compare(t, 1e-12); !slices.Equal(one, three) {
				t.Error("one thread and three give different bits")
			}
		})
	}
}

// TestCache8Bit: outputs differ by no more than rounding to 8 bits explains, and
// by more than nothing.
func TestCache8Bit(t *testing.T) {
	const tol = 0.05 // of the largest: each element is off by up to 1/254 of its vector's largest, and scores sum 6 to 10 of them
	for _, c := range cacheCases {
		t.Run(c.name, func(t *testing.T) {
			c.l.Int8 = true
			if _, worst := c.compare(t, tol); worst < 1e-5 {
				t.Errorf("the largest difference is %g: nothing was stored in 8 bits", worst)
			}
		})
	}
}

// TestCacheBytesAllocated: a cache takes what its layout says.
func TestCacheBytesAllocated(t *testing.T) {
	for _, c := range cacheCases {
		for _, int8s := range []bool{false, true} {
			c.l.Int8 = int8s
			cache := NewKVCache(tensor.Float32, 3, 5, c.l)
			var bytes int
			for _, v := range []*vectors{cache.keys, cache.values} {
				if v == nil {
					continue
				}
				bytes += len(v.codes) + 4*len(v.scales)
				if v.dense != nil {
					bytes += int(v.dense.MemSize())
				}
			}
			if want := 3 * 5 * c.l.Bytes(tensor.Float32); bytes != want {
				t.Errorf("%s, 8 bits %v: %d bytes, want %d", c.name, int8s, bytes, want)
			}
		}
	}
}

// TestSlots: a sequence goes on in whichever slot it is, beside any others, with the bits that it has alone; so it does from
// places that were copied to another slot.
func TestSlots(t *testing.T) {
	for _, c := range cacheCases {
		for _, int8s := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s 8 bits %v", c.name, int8s), func(t *testing.T) {
				l := c.l
				l.Int8 = int8s
				one := AttentionShape{Batch: 1, SeqLen: 1, Heads: c.heads, KVHeads: l.KVHeads, HeadDim: l.KeyDim, ValueDim: l.ValueDim, Causal: true}
				three := one
				three.Batch = 3
				const past = keyPiece + 5
				run := func(d *decoding, row, slot, past int) []float64 {
					t.Helper()
					for _, x := range []*tensor.Dense{d.q, d.k, d.v} {
						if x == nil {
							continue
						}
						width := x.Shape()[1]
						for i := range x.Float64s() {
							x.Float64s()[i] = math.Sin(float64(i%width + i/width*7)) // of the other rows
						}
						for i := range width {
							x.Float64s()[row*width+i] = math.Cos(float64(3 * i))
						}
					}
					for i := range d.past {
						d.past[i], d.fresh[i], d.slots[i] = 2+i, 1, i
					}
					d.past[row] = past
					d.slots[row], d.slots[slot%len(d.slots)] = slot, d.slots[row]
					y, err := d.run()
					if err != nil {
						t.Fatal(err)
					}
					n := len(y) / len(d.past)
					return y[row*n : (row+1)*n]
				}
				fill := func(cache *KVCache, slot int) {
					pattern := make([]float64, 997)
					for i := range pattern {
						pattern[i] = math.Sin(float64(i * i))
					}
					whole := NewKVCache(tensor.Float64, 1, past+1, l)
					whole.Fill(pattern)
					p := whole.Places(0, 0, past)
					cache.SetPlaces(slot, 0, past, p)
					if p.Bytes() == 0 || slot > 0 && p.Bytes() != cache.Places(slot, 1, past).Bytes() {
						t.Errorf("%d bytes", p.Bytes())
					}
				}
				single := NewKVCache(tensor.Float64, 1, past+1, l)
				fill(single, 0)
				want := run(newDecoding(t, tensor.Float64, one, single), 0, 0, past)
				for row, slot := range []int{2, 0, 1} {
					cache := NewKVCache(tensor.Float64, 3, past+1, l)
					fill(cache, slot)
					if got := run(newDecoding(t, tensor.Float64, three, cache), row, slot, past); !slices.Equal(got, want) {
						t.Errorf("row %d in slot %d: other bits than alone", row, slot)
					}
				}
			})
		}
	}
}
