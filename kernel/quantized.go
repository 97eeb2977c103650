package kernel

import (
	"fmt"
	"math"
)

// Quantized is a tensor of Elements numbers in 8 or 4 bits each and one float32 a block of Block consecutive ones (the
// last block may be shorter): with a the largest magnitude of a block, and m = 127 for 8 bits or 7 for 4,
//
//	code = m + 1 + round(m w / a)      1 to 2m + 1, halves to even
//	w'   = (code - m - 1) a / m        0 in a block of zeros
//
// so that |w - w'| is at most a / 2m, and rounding. The largest magnitude of a block comes back exactly: quantizing w'
// gives the same codes and the same a. In 4 bits a byte holds two codes, the first in its lower half; the upper half of
// the last byte of an odd number of elements is 0.
type Quantized struct {
	Bits, Block, Elements int
	Codes                 []uint8   // nil in a tensor that is planned and never used
	AbsMax                []float32 // a of each block
}

// NewQuantized is a tensor of n zeros.
func NewQuantized(bits, block, n int) Quantized {
	q := Quantized{Bits: bits, Block: block, Elements: n}
	q.Codes, q.AbsMax = make([]uint8, q.codeBytes()), make([]float32, q.blocks())
	q.fill()
	return q
}

func (q Quantized) codeBytes() int {
	if q.Bits == 4 {
		return (q.Elements + 1) / 2
	}
	return q.Elements
}

func (q Quantized) blocks() int { return (q.Elements + q.Block - 1) / q.Block }

// Bytes is what codes and scales take.
func (q Quantized) Bytes() int { return q.codeBytes() + 4*q.blocks() }

// top is m, the largest number that a code stands for.
func (q Quantized) top() int { return 1<<(q.Bits-1) - 1 }

// fill sets all codes to that of 0.
func (q Quantized) fill() {
	zero := uint8(q.top() + 1)
	if q.Bits == 4 {
		zero |= zero << 4
	}
	for i := range q.Codes {
		q.Codes[i] = zero
	}
	if q.Bits == 4 && q.Elements%2 == 1 {
		q.Codes[len(q.Codes)-1] &= 15
	}
}

// Quantize sets q to w, of the same length and finite throughout.
func (q Quantized) Quantize(w []float32) {
	if len(w) != q.Elements {
		panic(fmt.Sprintf("kernel: %d elements for a quantized tensor of %d", len(w), q.Elements))
	}
	q.fill()
	m := q.top()
	Ranges(len(q.AbsMax), q.grain(), func(first, last int) {
		for k := first; k < last; k++ {
			lo, hi := k*q.Block, min(len(w), (k+1)*q.Block)
			var top float32
			for _, x := range w[lo:hi] {
				top = max(top, x, -x)
			}
			q.AbsMax[k] = top
			if top == 0 {
				continue
			}
			for i, x := range w[lo:hi] {
				q.set(lo+i, uint8(m+1+int(math.RoundToEven(float64(m)*float64(x)/float64(top)))))
			}
		}
	})
}

// grain is how many blocks a task takes: an even number, so that no byte of codes belongs to two tasks.
func (q Quantized) grain() int { return 2 * max(1, 1<<13/q.Block) }

func (q Quantized) set(i int, code uint8) {
	if q.Bits == 8 {
		q.Codes[i] = code
		return
	}
	shift := i % 2 * 4
	q.Codes[i/2] = q.Codes[i/2]&^(15<<shift) | code<<shift
}

// Check returns an error if codes or scales that came from a file are none that Quantize makes.
func (q Quantized) Check() error {
	if len(q.Codes) != q.codeBytes() || len(q.AbsMax) != q.blocks() {
		return fmt.Errorf("%d bytes of codes and %d scales, want %d and %d for %d elements", len(q.Codes), len(q.AbsMax), q.codeBytes(), q.blocks(), q.Elements)
	}
	for k, a := range q.AbsMax {
		if !(a >= 0) || math.IsInf(float64(a), 1) {
			return fmt.Errorf("scale %d is %g, want a finite number from 0 on", k, a)
		}
	}
	for i := range q.Elements {
		if q.code(i) == 0 {
			return fmt.Errorf("code %d is 0, want 1 to %d", i, 2*q.top()+1)
		}
	}
	if q.Bits == 4 && q.Elements%2 == 1 && q.Codes[len(q.Codes)-1]>>4 != 0 {
		return fmt.Errorf("the upper half of the last byte is not 0")
	}
	return nil
}

func (q Quantized) code(i int) uint8 {
	if q.Bits == 8 {
		return q.Codes[i]
	}
	return q.Codes[i/2] >> (i % 2 * 4) & 15
}

// Dequantize writes the tensor's values to dst. Steps are in float64, so that the largest of a block is exact.
func Dequantize[T Float](dst []T, q Quantized) {
	dst = dst[:q.Elements]
	Ranges(len(q.AbsMax), q.grain(), func(first, last int) {
		lo, hi := first*q.Block, min(len(dst), last*q.Block)
		decodeRange(dst[lo:hi], q, lo)
	})
}

// decodeRange writes q's values from element lo on to dst.
func decodeRange[T Float](dst []T, q Quantized, lo int) {
	for len(dst) > 0 {
		n := 0
		if isFloat32[T]() {
			n = vecDecode(f32(dst), q, lo)
		}
		if n == 0 {
			k := lo / q.Block
			n = min(len(dst), (k+1)*q.Block-lo)
			if isFloat32[T]() && q.Bits == 4 && lo%2 != 0 {
				n = 1 // vectors start at whole bytes
			}
			decodeBlock(dst[:n], q, lo, k)
		}
		dst, lo = dst[n:], lo+n
	}
}

// decodeBlock is decodeRange inside of block k, by the definition.
func decodeBlock[T Float](dst []T, q Quantized, lo, k int) {
	m := q.top()
	step := float64(q.AbsMax[k]) / float64(m)
	if q.Bits == 8 {
		for i, c := range q.Codes[lo : lo+len(dst)] {
			dst[i] = T(float64(int(c)-128) * step)
		}
		return
	}
	var values [16]T
	for c := range values {
		values[c] = T(float64(c-8) * step)
	}
	for i := range dst {
		dst[i] = values[q.code(lo+i)]
	}
}
