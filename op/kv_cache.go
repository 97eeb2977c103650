package op

import (
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// CacheLayout says what decoding stores of one token in one layer.
type CacheLayout struct {
	KVHeads  int  // G, of each of which it stores
	KeyDim   int  // a key of this width
	ValueDim int  // and a value of this width,
	Shared   bool // or no value: it is the first ValueDim elements of the key
	// Rotary turns keys by their place in the sequence when they are read. They are
	// stored as they were before. nil: keys are stored as they are compared.
	Rotary *RotaryTable
	// Int8 stores 8 bits an element and a float32 scale for each vector of each
	// token; see [kernel.QuantizeVector].
	Int8 bool
}

// segments are the widths of the vectors that have scales of their own: key and
// value, or of a shared vector the value and what is behind it.
func (l CacheLayout) segments() (key, value []int) {
	switch {
	case !l.Shared:
		return []int{l.KeyDim}, []int{l.ValueDim}
	case l.KeyDim == l.ValueDim:
		return []int{l.KeyDim}, nil
	}
	return []int{l.ValueDim, l.KeyDim - l.ValueDim}, nil
}

// Elements is how many numbers are stored of a token.
func (l CacheLayout) Elements() int {
	if l.Shared {
		return l.KVHeads * l.KeyDim
	}
	return l.KVHeads * (l.KeyDim + l.ValueDim)
}

// Bytes is what they take, scales included, where numbers are of the given type.
func (l CacheLayout) Bytes(dtype tensor.Dtype) int {
	if !l.Int8 {
		return l.Elements() * int(dtype.Size())
	}
	key, value := l.segments()
	return l.Elements() + scaleBytes*l.KVHeads*(len(key)+len(value))
}

const scaleBytes = 4

// KVCache holds one layer's keys and values of the tokens seen so far, head by
// head, so that a head's keys are one run of memory.
type KVCache struct {
	CacheLayout
	Batch, Capacity int // sequences, and tokens of each
	keys, values    *vectors
}

// NewKVCache allocates an empty cache.
func NewKVCache(dtype tensor.Dtype, batch, capacity int, layout CacheLayout) *KVCache {
	key, value := layout.segments()
	c := &KVCache{CacheLayout: layout, Batch: batch, Capacity: capacity}
	c.keys = newVectors(dtype, batch*layout.KVHeads*capacity, key, layout.Int8)
	if !layout.Shared {
		c.values = newVectors(dtype, batch*layout.KVHeads*capacity, value, layout.Int8)
	}
	return c
}

// Places copies what the cache holds of n tokens of a sequence, from a place on, in
// the type in which it holds them.
func (c *KVCache) Places(slot, from, n int) Places { return c.PlacesIn(Places{}, slot, from, n) }

// PlacesIn is Places in the memory of p, whose own tokens nobody wants any more, as far as that is large enough. No more is taken than
// what Bytes says.
func (c *KVCache) PlacesIn(p Places, slot, from, n int) Places {
	var singles, doubles, codes int
	for _, v := range []*vectors{c.keys, c.values} {
		switch {
		case v == nil:
		case v.dense == nil:
			codes += c.KVHeads * n * v.width
			singles += c.KVHeads * n * len(v.segments)
		case v.dense.Dtype() == tensor.Float64:
			doubles += c.KVHeads * n * v.width
		default:
			singles += c.KVHeads * n * v.width
		}
	}
	p = Places{room(p.float32s, singles), room(p.float64s, doubles), room(p.codes, codes)}
	for g := range c.KVHeads {
		at := (slot*c.KVHeads+g)*c.Capacity + from
		for _, v := range []*vectors{c.keys, c.values} {
			if v != nil {
				p.copyOf(v, at, n)
			}
		}
	}
	return p
}

// SetPlaces puts n tokens that Places copied to a place of a sequence.
func (c *KVCache) SetPlaces(slot, from, n int, p Places) {
	for g := range c.KVHeads {
		at := (slot*c.KVHeads+g)*c.Capacity + from
		for _, v := range []*vectors{c.keys, c.values} {
			if v != nil {
				p = p.copyTo(v, at, n)
			}
		}
	}
}

// Places are tokens of a cache's sequence, keys and values of one head after the other.
type Places struct {
	float32s []float32 // of 8 bits the scales
	float64s []float64
	codes    []int8
}

// Bytes is the memory that they take.
func (p Places) Bytes() int { return 4*len(p.float32s) + 8*len(p.float64s) + len(p.codes) }

// room is an empty slice for n values, in the memory of x if that is large enough.
func room[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, 0, n)
	}
	return x[:0]
}

func (p *Places) copyOf(v *vectors, at, n int) {
	switch {
	case v.dense == nil:
		m := len(v.segments)
		p.codes = append(p.codes, v.codes[at*v.width:(at+n)*v.width]...)
		p.float32s = append(p.float32s, v.scales[at*m:(at+n)*m]...)
	case v.dense.Dtype() == tensor.Float64:
		p.float64s = append(p.float64s, v.dense.Float64s()[at*v.width:(at+n)*v.width]...)
	default:
		p.float32s = append(p.float32s, v.dense.Float32s()[at*v.width:(at+n)*v.width]...)
	}
}

// copyTo returns what is left for the next vectors.
func (p Places) copyTo(v *vectors, at, n int) Places {
	switch {
	case v.dense == nil:
		m := len(v.segments)
		p.codes = p.codes[copy(v.codes[at*v.width:(at+n)*v.width], p.codes):]
		p.float32s = p.float32s[copy(v.scales[at*m:(at+n)*m], p.float32s):]
	case v.dense.Dtype() == tensor.Float64:
		p.float64s = p.float64s[copy(v.dense.Float64s()[at*v.width:(at+n)*v.width], p.float64s):]
	default:
		p.float32s = p.float32s[copy(v.dense.Float32s()[at*v.width:(at+n)*v.width], p.float32s):]
	}
	return p
}

// vectors are rows of numbers in floating point, or in 8 bits with a scale for
// each segment of a row.
type vectors struct {
	width    int
	segments []int
	dense    *tensor.Dense // [rows, width]; nil: 8 bits
	codes    []int8        // [rows, width]
	scales   []float32     // [rows, len(segments)]
}

func newVectors(dtype tensor.Dtype, rows int, segments []int, int8s bool) *vectors {
	v := &vectors{segments: segments}
	for _, n := range segments {
		v.width += n
	}
	if int8s {
		v.codes, v.scales = kernel.Large[int8](rows*v.width), kernel.Large[float32](rows*len(segments))
		return v
	}
	var backing any
	if dtype == tensor.Float64 {
		backing = kernel.Large[float64](rows * v.width)
	} else {
		backing = kernel.Large[float32](rows * v.width)
	}
	v.dense = tensor.New(tensor.WithShape(rows, v.width), tensor.WithBacking(backing))
	return v
}

// put stores x as row i.
func put[T kernel.Float](v *vectors, i int, x []T) {
	at := i * v.width
	if v.dense != nil {
		copy(data[T](v.dense)[at:at+v.width], x[:v.width])
		return
	}
	for j, n := range v.segments {
		v.scales[i*len(v.segments)+j] = kernel.QuantizeVector(v.codes[at:at+n], x[:n])
		at, x = at+n, x[n:]
	}
}

// stored returns rows [i, i+n) as they are.
func stored[T kernel.Float](v *vectors, i, n int) kernel.CacheRows[T] {
	if v.dense != nil {
		return kernel.CacheRows[T]{X: data[T](v.dense)[i*v.width : (i+n)*v.width], LD: v.width}
	}
	m := len(v.segments)
	return kernel.CacheRows[T]{Codes: v.codes[i*v.width : (i+n)*v.width], Scales: v.scales[i*m : (i+n)*m], LD: v.width}
}

// decode returns rows [i, i+n) of 8 bits in floating point, in mem.
func decode[T kernel.Float](v *vectors, i, n int, mem []T) kernel.CacheRows[T] {
	to := mem
	for r := i; r < i+n; r++ {
		at := r * v.width
		for j, n := range v.segments {
			kernel.DequantizeVector(to[:n], v.codes[at:at+n], v.scales[r*len(v.segments)+j])
			at, to = at+n, to[n:]
		}
	}
	return kernel.CacheRows[T]{X: mem[:n*v.width], LD: v.width}
}

// Fill stores pattern over and over, as the keys and then as the values of all
// tokens, so that attention after a long past can be measured without computing it.
func (c *KVCache) Fill(pattern []float64) {
	for _, v := range []*vectors{c.keys, c.values} {
		switch {
		case v == nil:
		case v.dense != nil && v.dense.Dtype() == tensor.Float64:
			fillVectors[float64](v, pattern)
		default:
			fillVectors[float32](v, pattern)
		}
	}
}

func fillVectors[T kernel.Float](v *vectors, pattern []float64) {
	rows := len(v.scales) / len(v.segments)
	if v.dense != nil {
		rows = v.dense.Shape()[0]
	}
	row := make([]T, v.width)
	for i, at := 0, 0; i < rows; i++ {
		for j := range row {
			row[j] = T(pattern[at])
			at = (at + 1) % len(pattern)
		}
		put(v, i, row)
	}
}
