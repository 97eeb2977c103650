package kernel

import (
	"encoding/binary"
	"math"
)

// leastMagnitude is the smallest largest magnitude of a piece of a row that is not rounded to zeros: the inverse of a smaller scale
// could be infinite.
const leastMagnitude = 1.0 / (1 << 100)

// roundRow rounds a row of activations to 8 bits, piece by piece.
func (w *Integers) roundRow(dst []byte, x []float32) {
	size := 8 + 8*w.pairs
	if n := vecRoundPieces(dst, x, w.pieces, w.piece, w.zero()); n {
		return
	}
	for s := range w.pieces {
		roundPiece(dst[s*size:(s+1)*size], x[s*w.piece:(s+1)*w.piece], w.zero())
	}
}

// roundPiece writes, of a piece x whose largest magnitude is a,
//
//	code = round(x (127 / a))       -127 to 127, halves to even
//	x'   = code a / 127
//
// all in float32, so that |x - x'| is at most a / 254, and rounding. A piece with a number that is not finite gets a scale that is
// none, and one below leastMagnitude zeros. dst begins with what makes integer sums over codes that are zero too large right, -zero times
// the sum of the codes, and ends with the scale; codes that fill it up are 0.
func roundPiece(dst []byte, x []float32, zero int) {
	var bits uint32
	for _, v := range x {
		bits = max(bits, math.Float32bits(v)&^(1<<31))
	}
	codes := dst[4 : len(dst)-4]
	clear(codes)
	var scale float32
	sum := 0
	switch a := math.Float32frombits(bits); {
	case bits >= math.Float32bits(float32(math.Inf(1))):
		scale = float32(math.NaN())
	case a >= leastMagnitude:
		scale = a / 127
		factor := 127 / a
		for i, v := range x {
			code := int(math.RoundToEven(float64(float32(v * factor))))
			codes[i] = byte(int8(code))
			sum += code
		}
	}
	binary.LittleEndian.PutUint32(dst, uint32(int32(-zero*sum)))
	binary.LittleEndian.PutUint32(dst[len(dst)-4:], math.Float32bits(scale))
}
