package kernel

import "unsafe"

// microArgs is what a micro-kernel works on: C = alpha A B + beta C for a column of `tiles`
// micro-tiles of mr rows each, one under the other. Strides are in bytes. The assembly reads this
// struct by offset, counts tiles down and moves next on.
type microArgs struct {
	a, b, c     unsafe.Pointer
	ars, acs    uintptr // from a row, a column of A to the next
	ats         uintptr // from a tile of A to the next
	brs         uintptr // from a row of B to the next
	ldc         uintptr // from a row of C to the next
	k, tiles    int     // both at least 1
	mr          int
	mask        uint64 // one bit for each valid column
	alpha, beta uint64 // bits of the element type

	bias       unsafe.Pointer // a row in place of C in beta C; nil: C
	next       uintptr        // memory to bring into the second-level cache, two lines for each row; not kept alive
	nextStride uintptr        // from the lines of a row to those of the next
}

// tileShape is the size of a level's largest micro-tile.
type tileShape struct{ mr, nr int }

// blocking is how a level cuts a product.
type blocking struct {
	tileShape
	mc    int  // rows of A in the second-level cache
	masks bool // the micro-kernel stores part of a tile's columns
}

// kBlock is the longest chain of multiply-adds before a sum goes through C. A panel of B of that
// many rows takes 24 KB on AVX2, most of a first-level cache, and 48 KB on AVX-512, which streams
// it from the second level. It is the same on every level, so that AVX2 and AVX-512
// agree bit for bit.
const kBlock = 384

func blockingOf(l isaLevel, double bool) blocking {
	wide := 1 // two vectors of float32 hold twice the columns of float64
	if double {
		wide = 2
	}
	switch l {
	case isaAVX512:
		return blocking{tileShape{14, 32 / wide}, 280 / wide, true}
	case isaAVX2:
		return blocking{tileShape{6, 16 / wide}, 192 / wide, false}
	}
	return blocking{tileShape{4, 4}, 128, true}
}
