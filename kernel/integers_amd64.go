//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go -C internal/avogen run ./integers -pkg kernel -out ../../integers_asm_amd64.s -stubs ../../integers_stubs_amd64.go

// bestIntegers is the best of this CPU; it changes in tests only.
var bestIntegers = startIntegers()

func startIntegers() integerLevel {
	x := &cpu.X86
	switch {
	case x.HasAVX512VNNI:
		return integersAVX512VNNI
	case x.HasAVXVNNI:
		return integersAVXVNNI
	}
	return integersAVX2
}

// hasAVXVNNI tells whether the CPU has VPDPBUSD of 256 bits, as AVX encodes it.
func hasAVXVNNI() bool { return cpu.X86.HasAVXVNNI }

// integersOf is what a level offers on this CPU.
func integersOf(l isaLevel) integerLevel {
	switch {
	case l == isaGo:
		return integersGo
	case bestIntegers == integersAVX512VNNI && l < isaAVX512:
		if hasAVXVNNI() {
			return integersAVXVNNI
		}
		return integersAVX2
	}
	return bestIntegers
}

// integerProduct runs the level's kernel, with 256 bits on both halves of the panel.
func integerProduct(l integerLevel, bits int, args *integerArgs) {
	if l == integersGo {
		integerProductGo(bits, args)
		return
	}
	p := (*byte)(unsafe.Pointer(args))
	if l == integersAVX512VNNI {
		if bits == 8 {
			integerProduct8AVX512VNNI(p)
		} else {
			integerProduct4AVX512VNNI(p)
		}
		return
	}
	codes, scales, c, bias, tiles := args.codes, args.scales, args.c, args.bias, args.tiles
	for half := range 2 {
		const lanes = panelRows / 2
		args.codes, args.shift = codes, uintptr(4*half)
		if bits == 8 {
			args.codes = unsafe.Add(codes, 4*lanes*half)
		}
		args.scales, args.c, args.bias = unsafe.Add(scales, 4*lanes*half), unsafe.Add(c, 4*lanes*half), unsafe.Add(bias, 4*lanes*half)
		args.tiles = tiles
		switch {
		case l == integersAVXVNNI && bits == 8:
			integerProduct8AVXVNNI(p)
		case l == integersAVXVNNI:
			integerProduct4AVXVNNI(p)
		case bits == 8:
			integerProduct8AVX2(p)
		default:
			integerProduct4AVX2(p)
		}
	}
	args.codes, args.scales, args.c, args.bias = codes, scales, c, bias
}

// vecRoundPieces is roundPiece of some pieces, one after the other; it tells whether there is assembly for them.
func vecRoundPieces(dst []byte, x []float32, pieces, piece, zero int) bool {
	if isa == isaGo || piece%16 != 0 {
		return false
	}
	if isa == isaAVX512 {
		integerRoundAVX512(&dst[0], &x[0], pieces, piece/16, -zero)
	} else {
		integerRoundAVX2(&dst[0], &x[0], pieces, piece/16, -zero)
	}
	return true
}
