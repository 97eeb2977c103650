package nn

import (
	"fmt"
	"math/bits"
)

// Atoms are which atom each value of a dense_sparse layer belongs to: one byte each in memory, as its operator reads
// them, and ceil(log2 K) bits each in a file, every block's from a byte of its own on.
type Atoms struct {
	K     int     // atoms of a dictionary
	Index []uint8 // [S, V], arranged as the layer's values; nil in a virtual store

	blocks []int // indices of each block
}

// Bits is how many bits an index takes in a file. With one atom there is nothing to tell.
func (a *Atoms) Bits() int { return bits.Len(uint(a.K - 1)) }

// Len is the number of indices.
func (a *Atoms) Len() int {
	n := 0
	for _, size := range a.blocks {
		n += size
	}
	return n
}

// PackedLen is the number of bytes in a file.
func (a *Atoms) PackedLen() int {
	n := 0
	for _, size := range a.blocks {
		n += (size*a.Bits() + 7) / 8
	}
	return n
}

// Pack returns the indices as a file holds them: index i of a block in bits i*Bits to (i+1)*Bits of the block, bit 0 being
// the lowest of the first byte.
func (a *Atoms) Pack() []uint8 {
	packed, width := make([]uint8, 0, a.PackedLen()), a.Bits()
	from := 0
	for _, size := range a.blocks {
		var word uint
		filled := 0
		for _, k := range a.Index[from : from+size] {
			word |= uint(k) << filled
			for filled += width; filled >= 8; filled -= 8 {
				packed = append(packed, uint8(word))
				word >>= 8
			}
		}
		if filled > 0 {
			packed = append(packed, uint8(word))
		}
		from += size
	}
	return packed
}

// Unpack sets the indices from what Pack returned. Bytes that are no indices of this layer are an error.
func (a *Atoms) Unpack(packed []uint8) error {
	if len(packed) != a.PackedLen() {
		return fmt.Errorf("nn: %d bytes of indices, want %d", len(packed), a.PackedLen())
	}
	from, width := 0, a.Bits()
	for _, size := range a.blocks {
		var word uint
		filled := 0
		for i := range size {
			for filled < width {
				word |= uint(packed[0]) << filled
				packed = packed[1:]
				filled += 8
			}
			k := word & (1<<width - 1)
			if k >= uint(a.K) {
				return fmt.Errorf("nn: index %d of %d is %d, want a number from 0 to %d", from+i, a.Len(), k, a.K-1)
			}
			a.Index[from+i] = uint8(k)
			word >>= width
			filled -= width
		}
		if word != 0 {
			return fmt.Errorf("nn: the bits after index %d are not 0", from+size-1)
		}
		from += size
	}
	return nil
}
