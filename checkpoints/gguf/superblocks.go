package gguf

// Blocks of 256, of which each part of 32 (Q4_K, Q5_K) or 16 (Q6_K) has a scale of its own.
//
// Q4_K: d, dmin as halves; 8 scales s and 8 minima m of 6 bits in 12 bytes; codes of 4 bits, in each 32 bytes those of
// one part in the low halves and of the next in the high ones. Q5_K has the fifth bits before the codes: bit p of byte i
// is that of element i of part p. A value is (d s) q - (dmin m).
//
// Q6_K: in each half of 128 the low 4 bits (64 bytes, elements 0 to 63 in the low halves, 64 to 127 in the high ones),
// the upper 2 bits (32 bytes, of elements i, i+32, i+64, i+96 in byte i), after both 16 signed scales s and the half d.
// A value is (d s) (q - 32).

// unpackScales takes the scales and minima of 8 parts out of 12 bytes: those of the first four have their bytes' low 6
// bits, those of the last four 4 bits of their own and the others' upper 2.
func unpackScales(b []byte) (scales, minima [8]uint8) {
	for i := range 4 {
		scales[i], minima[i] = b[i]&63, b[i+4]&63
		scales[i+4] = b[i+8]&15 | b[i]>>6<<4
		minima[i+4] = b[i+8]>>4 | b[i+4]>>6<<4
	}
	return scales, minima
}

func packScales(b []byte, scales, minima [8]uint8) {
	for i := range 4 {
		b[i] = scales[i] | scales[i+4]>>4<<6
		b[i+4] = minima[i] | minima[i+4]>>4<<6
		b[i+8] = scales[i+4]&15 | minima[i+4]<<4
	}
}

func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[144:] {
		d, dmin := half(src), half(src[2:])
		scales, minima := unpackScales(src[4:16])
		codes := src[16:144]
		for p := range 8 {
			scale, least := d*float32(scales[p]), dmin*float32(minima[p])
			for i, b := range codes[p/2*32 : p/2*32+32] {
				q := b >> (p % 2 * 4) & 15
				dst[p*32+i] = float32(scale*float32(q)) - least
			}
		}
	}
}

func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[176:] {
		d, dmin := half(src), half(src[2:])
		scales, minima := unpackScales(src[4:16])
		fifth, codes := src[16:48], src[48:176]
		for p := range 8 {
			scale, least := d*float32(scales[p]), dmin*float32(minima[p])
			for i, b := range codes[p/2*32 : p/2*32+32] {
				q := b>>(p%2*4)&15 | fifth[i]>>p&1<<4
				dst[p*32+i] = float32(scale*float32(q)) - least
			}
		}
	}
}

func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[210:] {
		scales, d := src[192:208], half(src[208:])
		for i := range 256 {
			h, j := i/128, i%128
			q := src[64*h+j%64]>>(j/64*4)&15 | src[128+32*h+j%32]>>(j/32*2)&3<<4
			dst[i] = d * float32(int8(scales[i/16])) * float32(int(q)-32)
		}
	}
}
