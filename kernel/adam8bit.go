package kernel

import (
	"math"
	"unsafe"
)

// AdamW8bitMaxBlock is the largest number of elements that may share a scale.
const AdamW8bitMaxBlock = 4096

// AdamW8bitState is the state of the optimizer of one tensor: for each element a code of the mean of gradients and one of the
// mean of their squares, and for each block of consecutive elements what their codes are relative to. The last block may be
// shorter.
type AdamW8bitState struct {
	Mean, Square       []uint8
	MeanMax, SquareMax []float32 // largest magnitude of each block
}

// NewAdamW8bitState returns the state of n elements before the first step, all zero.
func NewAdamW8bitState(n, block int) AdamW8bitState {
	blocks := (n + block - 1) / block
	s := AdamW8bitState{make([]uint8, n), make([]uint8, n), make([]float32, blocks), make([]float32, blocks)}
	for i := range s.Mean {
		s.Mean[i] = signedZero
	}
	return s
}

// Slice returns the part of the state for the elements lo to hi; lo is the beginning of a block.
func (s AdamW8bitState) Slice(block, lo, hi int) AdamW8bitState {
	first, last := lo/block, (hi+block-1)/block
	return AdamW8bitState{s.Mean[lo:hi], s.Square[lo:hi], s.MeanMax[first:last], s.SquareMax[first:last]}
}

// AdamW8bitStep updates the weights w and the state in place from the gradient g, by Adam with 8-bit states (Dettmers et al.,
// "8-bit Optimizers via Block-wise Quantization", ICLR 2022) with decoupled weight decay as in the bitsandbytes library: after
// the step. Block by block of at most AdamW8bitMaxBlock elements:
//
//	m = signed(Mean) * MeanMax,  v = unsigned(Square) * SquareMax,  g' = GradScale*g
//	m += (1-Beta1)*(g' - m),  v = Beta2*v + (1-Beta2)*g'²
//	w -= LearningRate/(1-Beta1^Step) * m / (sqrt(v/(1-Beta2^Step)) + Eps)
//	w *= 1 - LearningRate*WeightDecay
//	MeanMax = max|m|,  Mean = nearest code of m/MeanMax;  SquareMax = max v,  Square = nearest code of v/SquareMax
//
// A negative m whose nearest code is 0 takes the code below, so that it keeps its sign. An element whose g' or g'² is no finite
// number keeps its weight, and its state becomes zero. g is left untouched. Blocks are independent of each other: a tensor may
// be updated in pieces of whole blocks, by [AdamW8bitState.Slice], in any order.
func AdamW8bitStep[T Float](p AdamW, block int, w []T, s AdamW8bitState, g []T) {
	decay := T(1 - p.LearningRate*p.WeightDecay)
	p.WeightDecay = 0
	scalars := scalarsOf[T](p)
	var mean, square, old [AdamW8bitMaxBlock]T
	for i, n := 0, len(w); i*block < n; i++ {
		lo, hi := i*block, min(n, (i+1)*block)
		w, g := w[lo:hi], g[lo:hi]
		m, v, old := mean[:hi-lo], square[:hi-lo], old[:hi-lo]
		decode8(m, s.Mean[lo:hi], signedBook, s.MeanMax[i])
		decode8(v, s.Square[lo:hi], unsignedBook, s.SquareMax[i])
		copy(old, w)
		scalars.update(w, m, v, g)
		if decay != 1 {
			Scale(decay, w)
		}
		squareMax := largest8(v)
		if !(squareMax <= math.MaxFloat32) {
			skip8(w, m, v, old)
			squareMax = largest8(v)
		}
		meanMax := largest8(m)
		encodeSigned8(s.Mean[lo:hi], m, meanMax)
		encodeUnsigned8(s.Square[lo:hi], v, squareMax)
		s.MeanMax[i], s.SquareMax[i] = meanMax, squareMax
	}
}

// skip8 undoes the step of every element whose second moment is no number that a float32 holds.
func skip8[T Float](w, m, v, old []T) {
	for i := range v {
		if !(v[i] <= math.MaxFloat32) {
			w[i], m[i], v[i] = old[i], 0, 0
		}
	}
}

// decode8 sets dst to the values of the codes times scale.
func decode8[T Float](dst []T, codes []uint8, b *codebook8, scale float32) {
	f := T(scale)
	for len(codes) >= 4 {
		d, q := (*[4]T)(dst), (*[4]uint8)(codes)
		d[0], d[1], d[2], d[3] = T(b.value[q[0]])*f, T(b.value[q[1]])*f, T(b.value[q[2]])*f, T(b.value[q[3]])*f
		dst, codes = dst[4:], codes[4:]
	}
	for i, c := range codes {
		dst[i] = T(b.value[c]) * f
	}
}

// largest8 returns the largest magnitude in x, not a finite number if some element is none: magnitudes are ordered as their
// bits are, infinity and NaN above all.
func largest8[T Float](x []T) float32 {
	var a, b, c, d uint32
	if isFloat32[T]() {
		bits := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
		for len(bits) >= 4 {
			p := (*[4]uint32)(bits)
			a, b, c, d = max(a, p[0]&^signBit), max(b, p[1]&^signBit), max(c, p[2]&^signBit), max(d, p[3]&^signBit)
			bits = bits[4:]
		}
		x = x[len(x)-len(bits):]
	}
	for _, v := range x {
		a = max(a, math.Float32bits(float32(v))&^signBit)
	}
	return math.Float32frombits(max(a, b, c, d))
}

// encodeSigned8 sets the codes of x/scale.
func encodeSigned8[T Float](codes []uint8, x []T, scale float32) {
	if scale == 0 {
		for i := range codes {
			codes[i] = signedZero
		}
		return
	}
	inverse, book := inverse8(x, scale), signedBook
	for len(x) >= 4 {
		q, p := (*[4]uint8)(codes), (*[4]T)(x)
		q[0] = book.code(rankOf(math.Float32bits(float32(p[0] * inverse))))
		q[1] = book.code(rankOf(math.Float32bits(float32(p[1] * inverse))))
		q[2] = book.code(rankOf(math.Float32bits(float32(p[2] * inverse))))
		q[3] = book.code(rankOf(math.Float32bits(float32(p[3] * inverse))))
		codes, x = codes[4:], x[4:]
	}
	for i, v := range x {
		codes[i] = book.code(rankOf(math.Float32bits(float32(v * inverse))))
	}
}

// encodeUnsigned8 sets the codes of x/scale for x >= 0.
func encodeUnsigned8[T Float](codes []uint8, x []T, scale float32) {
	if scale == 0 {
		clear(codes)
		return
	}
	inverse, book := inverse8(x, scale), unsignedBook
	for len(x) >= 4 {
		q, p := (*[4]uint8)(codes), (*[4]T)(x)
		// Bits of a positive number are its rank.
		q[0] = book.code(int32(math.Float32bits(float32(p[0] * inverse))))
		q[1] = book.code(int32(math.Float32bits(float32(p[1] * inverse))))
		q[2] = book.code(int32(math.Float32bits(float32(p[2] * inverse))))
		q[3] = book.code(int32(math.Float32bits(float32(p[3] * inverse))))
		codes, x = codes[4:], x[4:]
	}
	for i, v := range x {
		codes[i] = book.code(int32(math.Float32bits(float32(v * inverse))))
	}
}

// inverse8 returns 1/scale. Where that would overflow it multiplies x by a power of two and returns the inverse for those.
func inverse8[T Float](x []T, scale float32) T {
	if scale < 0x1p-126 {
		const up = 0x1p32
		Scale(up, x)
		return 1 / (T(scale) * up)
	}
	return 1 / T(scale)
}
