//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C internal/avogen run ./quantized -pkg kernel -out ../../quantized_asm_amd64.s -stubs ../../quantized_stubs_amd64.go

// vecDecode writes q's values from element lo on, at most to the end of lo's block or, where blocks are whole vectors, of
// whole blocks, and returns how many: 0 if there is no assembly for them.
func vecDecode(dst []float32, q Quantized, lo int) int {
	level, k := isa, lo/q.Block
	if level == isaAVX512 && q.Block%16 != 0 && q.Block%8 == 0 {
		level = isaAVX2
	}
	if level == isaGo || q.Bits == 4 && lo%2 != 0 {
		return 0
	}
	lanes := level.lanes()
	blocks, vectors := 1, min(len(dst), (k+1)*q.Block-lo)/lanes
	if vectors == 0 || !vecDecodes(q.AbsMax[k]) {
		return 0
	}
	if lo%q.Block == 0 && q.Block%lanes == 0 && len(dst) >= q.Block {
		whole := len(dst) / q.Block
		for blocks < whole && vecDecodes(q.AbsMax[k+blocks]) {
			blocks++
		}
	}
	codes, absMax := &q.Codes[lo*q.Bits/8], &q.AbsMax[k]
	switch {
	case level == isaAVX512 && q.Bits == 8:
		quantizedDecodeBytesAVX512(&dst[0], codes, absMax, blocks, vectors)
	case level == isaAVX512:
		quantizedDecodeHalvesAVX512(&dst[0], codes, absMax, blocks, vectors)
	case q.Bits == 8:
		quantizedDecodeBytesAVX2(&dst[0], codes, absMax, blocks, vectors)
	default:
		quantizedDecodeHalvesAVX2(&dst[0], codes, absMax, blocks, vectors)
	}
	return blocks * vectors * lanes
}

// vecLeast is the smallest largest magnitude of a block that the assembly takes.
const vecLeast = 1.0 / (1 << 90)

// vecDecodes tells whether the assembly's values are those of float64.
//
// It splits the step a / m into two float32, high + low, and computes n high + n low for the number n that a code stands
// for: a sum with one rounding, and before it an error of about 2^-47 of it. The value in float64 is off by about 2^-52 of
// it before it is rounded to float32. Both are n a / m rounded once unless a point halfway between two float32 is that near,
// and none is. With A the 24 digits of a, such a point differs from n A / m by a multiple of 1/m of half a last place:
// 2^-25 / m of it, or nothing. But nothing would need m, a prime, to divide n A and hence n or A, and the quotient then is
// an integer below 2^24, not halfway between two. Below vecLeast low could lose digits.
func vecDecodes(a float32) bool { return a >= vecLeast || a == 0 }

// codeDotArgs is what the assembly of dot products works on. Strides are in bytes. It reads this struct by offset and counts
// groups down.
type codeDotArgs struct {
	codes, scales, x, out unsafe.Pointer
	ldCodes, ldScales     uintptr
	pieces                int // of a row, with a scale each
	vectors               int // 16 codes each, of a piece
	groups                int // of rows
}

// vecDotCodes sets out to the products of rows [w0, w0+wn) of q, each k long, with x, both of float32; room is scratch. It
// tells whether there is any assembly for them: pieces of rows that share a scale must be whole lines of lanes.
func vecDotCodes(level isaLevel, out, x unsafe.Pointer, q Quantized, k, w0, wn int, room *buffer) bool {
	group := [...]int{isaGo: 1, isaAVX2: 2, isaAVX512: 4}[level]
	if level == isaGo || wn < group || k%16 != 0 || q.Block%16 != 0 {
		return false
	}
	scales := q.AbsMax[w0*k/q.Block : ((w0+wn)*k-1)/q.Block+1]
	for _, a := range scales {
		if !vecDecodes(a) {
			return false
		}
	}
	piece := q.Block
	if k%q.Block != 0 { // blocks go on in the next row: a scale for each piece that does not
		piece = commonDivisor(k, q.Block)
		all := unsafe.Slice((*float32)(room.bytes(4*wn*k/piece)), wn*k/piece)
		in := w0 * k % q.Block / piece // pieces of the first block that are behind us
		for i := range all {
			all[i] = scales[(in+i)*piece/q.Block]
		}
		scales = all
	}
	pieces := k / piece
	rows := func(first, groups int) {
		args := codeDotArgs{
			codes: unsafe.Pointer(&q.Codes[(w0+first)*k*q.Bits/8]), scales: unsafe.Pointer(&scales[first*pieces]), x: x, out: unsafe.Add(out, 4*first),
			ldCodes: uintptr(k * q.Bits / 8), ldScales: uintptr(4 * pieces), pieces: pieces, vectors: piece / 16, groups: groups,
		}
		p := (*byte)(unsafe.Pointer(&args))
		switch {
		case level == isaAVX512 && q.Bits == 8:
			quantizedDotBytesAVX512(p)
		case level == isaAVX512:
			quantizedDotHalvesAVX512(p)
		case q.Bits == 8:
			quantizedDotBytesAVX2(p)
		default:
			quantizedDotHalvesAVX2(p)
		}
	}
	rows(0, wn/group)
	if wn%group != 0 {
		rows(wn-group, 1) // overlaps the one before it
	}
	return true
}
