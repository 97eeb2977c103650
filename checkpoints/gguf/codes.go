package gguf

import "sparrow/checkpoints/foreign"

// Codes are a tensor's values as they are stored, in blocks of 32: value i is Scales[i/32] Codes[i], and where there are
// Minima, Minima[i/32] more.
type Codes struct {
	Codes          []int8 // -128 to 127 (Q8_0), -8 to 7 (Q4_0), 0 to 15 (Q4_1)
	Scales, Minima []float32
}

// Unpack returns the codes of a tensor of type Q8_0, Q4_0 or Q4_1, so that it can be kept without rounding it twice; of
// every other type, false.
func Unpack(t foreign.Tensor) (c Codes, ok bool) {
	if t.Type != Q8_0 && t.Type != Q4_0 && t.Type != Q4_1 {
		return c, false
	}
	n := t.Elements()
	c.Codes = make([]int8, 0, n)
	c.Scales = make([]float32, 0, n/32)
	for raw := t.Bytes(); len(raw) > 0; raw = raw[t.Type.Size:] {
		block := raw[:t.Type.Size]
		c.Scales = append(c.Scales, half(block))
		switch t.Type {
		case Q8_0:
			for _, b := range block[2:] {
				c.Codes = append(c.Codes, int8(b))
			}
		case Q4_0:
			c.Codes = appendHalves(c.Codes, block[2:], 8)
		case Q4_1:
			c.Minima = append(c.Minima, half(block[2:]))
			c.Codes = appendHalves(c.Codes, block[4:], 0)
		}
	}
	return c, true
}

// appendHalves appends the low halves of 16 bytes and then the high ones, each less zero.
func appendHalves(codes []int8, packed []byte, zero int8) []int8 {
	for _, b := range packed {
		codes = append(codes, int8(b&15)-zero)
	}
	for _, b := range packed {
		codes = append(codes, int8(b>>4)-zero)
	}
	return codes
}
