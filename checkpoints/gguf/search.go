package gguf

import (
	"math"

	"sparrow/checkpoints/foreign"
)

// The K types leave open how scales are chosen. Here each part's are searched for: from several widths of its range, each
// followed by the scale and the minimum that fit the codes best in the weighted least squares sense, codes and fit in turn
// until nothing gains. Then they are rounded to multiples of the block's d and dmin, each with its neighbours tried, and
// d and dmin themselves fitted again to all codes. Errors count more for large values, which move a layer's output most.
// Products are rounded before they are added, so that every machine finds the same codes.

// importance is the weight of each value's squared error: its magnitude beside the mean one of its part.
func importance(weights, x []float32) {
	var sum float32
	for _, v := range x {
		sum += float32(v * v)
	}
	mean := float32(math.Sqrt(float64(sum / float32(len(x)))))
	for i, v := range x {
		weights[i] = mean + abs(v)
	}
}

// nearest is v rounded to the nearest whole number from least, which is not above 0, to most.
func nearest(v, least, most float32) float32 {
	switch {
	case v >= most:
		return most
	case v <= least:
		return least
	}
	v -= least
	return float32(int32(v+0.5)) + least // the code is not negative, so that this cuts down
}

// errorOf is the weighted squared error of x at the nearest codes from 0 to most under scale s and minimum m.
func errorOf(x, w []float32, s, m, most float32) (sum float32) {
	is := inverse(s)
	for i, v := range x {
		e := v - float32(s*nearest((v+m)*is, 0, most)) + m
		sum += float32(w[i] * float32(e*e))
	}
	return sum
}

// fit returns the scale and minimum, neither below 0, that are best for the codes that x has under s and m.
func fit(x, w []float32, s, m, most float32) (scale, least float32) {
	is := inverse(s)
	var sw, sq, sqq, sx, sxq float64
	for i, v := range x {
		q := float64(nearest((v+m)*is, 0, most))
		wi, vi := float64(w[i]), float64(v)
		sw += wi
		sq += float64(wi * q)
		sqq += float64(wi * q * q)
		sx += float64(wi * vi)
		sxq += float64(wi * vi * q)
	}
	if det := float64(sw*sqq) - float64(sq*sq); det > 0 {
		a, b := (float64(sw*sxq)-float64(sq*sx))/det, (float64(sq*sxq)-float64(sqq*sx))/det // x = a q - b
		if a > 0 && b >= 0 {
			return float32(a), float32(b)
		}
	}
	if sqq > 0 && sxq > 0 { // without a minimum
		return float32(sxq / sqq), 0
	}
	return s, m
}

// negligible is far below what a half's least scale makes of the largest code, and its inverse is still finite.
const negligible = 1e-30

// How wide the range of codes is laid over that of the values, in codes more or less, and how often codes and fit follow
// each other at most.
var widths = []float32{-1.6, -1.2, -0.8, -0.5, -0.2, 0, 0.3}

const refits = 4

// searchPart returns a scale and a minimum for x, for codes from 0 to most.
func searchPart(x, w []float32, most float32) (scale, least float32) {
	var low, high float32 // 0 is within: the minimum is not negative
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	if high-low < negligible {
		return 0, 0
	}
	scale, least = (high-low)/most, -low
	best := errorOf(x, w, scale, least, most)
	for _, width := range widths {
		s, m := (high-low)/(most+width), -low
		for range refits {
			s2, m2 := fit(x, w, s, m, most)
			if s2 == s && m2 == m {
				break
			}
			s, m = s2, m2
			e := errorOf(x, w, s, m, most)
			if e >= best {
				break
			}
			best, scale, least = e, s, m
		}
	}
	return scale, least
}

// rounded is v as a half holds it.
func rounded(v float32) float32 { return foreign.Float16(foreign.ToFloat16(v)) }

// superblock is a block of 256 of Q4_K in the making.
type superblock struct {
	x, w           [256]float32
	d, dmin        float32 // as halves hold them
	scales, minima [8]uint8
}

const (
	maxCode  = 15
	maxScale = 63
)

func (b *superblock) part(p int) (x, w []float32) { return b.x[32*p : 32*p+32], b.w[32*p : 32*p+32] }

// errorOfPart is the error of part p under a scale and a minimum in 6 bits.
func (b *superblock) errorOfPart(p int, scale, least uint8) float32 {
	x, w := b.part(p)
	return errorOf(x, w, b.d*float32(scale), b.dmin*float32(least), maxCode)
}

// settle rounds the parts' scales to 6 bits, trying the neighbours too, and returns the error of the whole.
func (b *superblock) settle(scales, minima [8]float32) (sum float32) {
	id, idmin := inverse(b.d), inverse(b.dmin)
	for p := range 8 {
		s0, m0 := nearest(scales[p]*id, 0, maxScale), nearest(minima[p]*idmin, 0, maxScale)
		best := float32(math.Inf(1))
		for _, ds := range []float32{0, -1, 1} {
			for _, dm := range []float32{0, -1, 1} {
				s, m := uint8(max(0, min(maxScale, s0+ds))), uint8(max(0, min(maxScale, m0+dm)))
				if e := b.errorOfPart(p, s, m); e < best {
					best, b.scales[p], b.minima[p] = e, s, m
				}
			}
		}
		sum += best
	}
	return sum
}

// refit returns the d and dmin that are best for the scales, minima and codes that b has.
func (b *superblock) refit() (d, dmin float32) {
	var aa, ab, bb, ax, bx float64
	for p := range 8 {
		x, w := b.part(p)
		scale, least := b.d*float32(b.scales[p]), b.dmin*float32(b.minima[p])
		is := inverse(scale)
		for i, v := range x {
			q := nearest((v+least)*is, 0, maxCode)
			fa, fb := float64(b.scales[p])*float64(q), -float64(b.minima[p]) // v = d fa + dmin fb
			wi := float64(w[i])
			aa += float64(wi * fa * fa)
			ab += float64(wi * fa * fb)
			bb += float64(wi * fb * fb)
			ax += float64(wi * fa * float64(v))
			bx += float64(wi * fb * float64(v))
		}
	}
	if det := float64(aa*bb) - float64(ab*ab); det > 1e-9*aa*bb {
		return float32((float64(ax*bb) - float64(bx*ab)) / det), float32((float64(bx*aa) - float64(ax*ab)) / det)
	}
	if aa > 0 && bb == 0 {
		return float32(ax / aa), b.dmin
	}
	return b.d, b.dmin
}

func encodeQ4_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[144:], src[256:] {
		encodeSuperblock(dst[:144], src[:256])
	}
}

func encodeSuperblock(dst []byte, src []float32) {
	var b superblock
	copy(b.x[:], src)
	var scales, minima [8]float32
	var widest, deepest float32
	for p := range 8 {
		x, w := b.part(p)
		importance(w, x)
		scales[p], minima[p] = searchPart(x, w, maxCode)
		widest, deepest = max(widest, scales[p]), max(deepest, minima[p])
	}
	b.d, b.dmin = rounded(widest/maxScale), rounded(deepest/maxScale)
	best := b.settle(scales, minima)
	for range refits {
		next := b
		next.d, next.dmin = b.refit()
		next.d, next.dmin = rounded(next.d), rounded(next.dmin)
		if !(next.d > 0 && next.dmin >= 0) || next.d == b.d && next.dmin == b.dmin {
			break
		}
		e := next.settle(scales, minima)
		if e >= best {
			break
		}
		best, b = e, next
	}
	putHalf(dst, b.d)
	putHalf(dst[2:], b.dmin)
	packScales(dst[4:16], b.scales, b.minima)
	codes := dst[16:144]
	clear(codes)
	for p := range 8 {
		x, _ := b.part(p)
		least := b.dmin * float32(b.minima[p])
		is := inverse(b.d * float32(b.scales[p]))
		for i, v := range x {
			codes[p/2*32+i] |= uint8(nearest((v+least)*is, 0, maxCode)) << (p % 2 * 4)
		}
	}
}

// searchSigned returns a scale of either sign for x, for codes from -32 to 31.
func searchSigned(x, w []float32) (scale float32) {
	most := extreme(x)
	if abs(most) < negligible {
		return 0
	}
	// For codes of a scale, the best scale is sxq / sqq, and it takes sxq^2 / sqq away from the error.
	var best float64
	for width := float32(-32.9); width <= -30; width += 0.2 {
		s := most / width
		is := 1 / s
		var sxq, sqq float64
		for i, v := range x {
			q := float64(nearest(v*is, -32, 31))
			sxq += float64(float64(w[i]) * float64(v) * q)
			sqq += float64(float64(w[i]) * q * q)
		}
		if sqq > 0 && sxq*sxq > best*sqq {
			best, scale = sxq*sxq/sqq, float32(sxq/sqq)
		}
	}
	return scale
}

func encodeQ6_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[210:], src[256:] {
		var w [16]float32
		var scales [16]float32
		for p := range 16 {
			x := src[16*p : 16*p+16]
			importance(w[:], x)
			scales[p] = searchSigned(x, w[:])
		}
		d := rounded(extreme(scales[:]) / -128)
		id := inverse(d)
		putHalf(dst[208:], d)
		clear(dst[:192])
		for p := range 16 {
			s := nearest(scales[p]*id, -128, 127)
			dst[192+p] = byte(int8(s))
			is := inverse(d * s)
			for k, v := range src[16*p : 16*p+16] {
				q := byte(nearest(v*is, -32, 31) + 32)
				h, j := (16*p+k)/128, (16*p+k)%128
				dst[64*h+j%64] |= q & 15 << (j / 64 * 4)
				dst[128+32*h+j%32] |= q >> 4 << (j / 32 * 2)
			}
		}
	}
}
