package nn

import (
	"fmt"
	"math/bits"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/op"
)

// Atoms are which atom each value of a dense_sparse layer belongs to: one byte each in memory, as its operator reads
// them, and ceil(log2 K) bits each in a file, every block's from a byte of its own on.
type Atoms struct {
	K     int     // atoms of a dictionary
	Index []uint8 // [S, V], arranged as the layer's values; nil in a virtual store

	blocks  []int // indices of each block
	vectors int   // V
}

// newAtoms are the indices of a layer with so many nonzeros in each block, without memory.
func newAtoms(k int, nonzeros []int, vectors int) *Atoms {
	a := &Atoms{K: k, vectors: vectors}
	for _, s := range nonzeros {
		a.blocks = append(a.blocks, s*vectors)
	}
	return a
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

// check says whether the atoms of each vector of a block are distinct and ascending.
func (a *Atoms) check() error {
	index := a.Index
	for _, size := range a.blocks {
		for at := a.vectors; at < size; at++ {
			if index[at] <= index[at-a.vectors] {
				return fmt.Errorf("a vector of a block has atom %d after %d, want ascending numbers", index[at], index[at-a.vectors])
			}
		}
		index = index[size:]
	}
	return nil
}

// CheckPacked says whether the index of atoms that a layer has, as a checkpoint holds it, gives every vector of a block
// exactly as many different atoms as the layer says.
func (l Layer) CheckPacked(packed []uint8) error {
	for _, spec := range l.Layout().Arrays {
		if a := spec.Atoms; a != nil {
			a.Index = make([]uint8, a.Len())
			if err := a.Unpack(packed); err != nil {
				return err
			}
			return a.check()
		}
	}
	return fmt.Errorf("nn: a layer of kind %s has no index of atoms", l.Rule.Name)
}

// atoms binds the store's indices of that name, or makes a the store's and draws them.
func (b *Builder) atoms(name string, a *Atoms) {
	full := b.Name(name)
	if have, ok := b.Store.atoms[full]; ok {
		if have.K != a.K || !slices.Equal(have.blocks, a.blocks) {
			panic(&op.ShapeError{Op: "parameter", What: full, Got: tensor.Shape{have.Len()}, Want: fmt.Sprintf("%d indices below %d, in the same blocks", a.Len(), a.K)})
		}
		a = have
	} else {
		b.Store.atomNames = append(b.Store.atomNames, full)
		b.Store.atoms[full] = a
	}
	if b.Store.Virtual || a.Index != nil {
		return
	}
	a.Index = make([]uint8, a.Len())
	r, first := rng.New(b.opts.Seed, "index/"+full, 0), 0
	for _, size := range a.blocks {
		s := size / a.vectors
		for i := range a.vectors {
			chooseAtoms(r, a.Index[first*a.vectors+i:], a.vectors, s, a.K)
		}
		first += s
	}
}

// chooseAtoms draws s of k atoms, every set as likely, in ascending order (Floyd's algorithm), and puts them stride apart.
func chooseAtoms(r *rng.Source, dst []uint8, stride, s, k int) {
	var taken [maxAtoms]bool
	for last := k - s; last < k; last++ {
		c := r.Intn(last + 1)
		if taken[c] {
			c = last
		}
		taken[c] = true
	}
	n := 0
	for c := range k {
		if taken[c] {
			dst[n*stride] = uint8(c)
			n++
		}
	}
}

// CheckIndices returns an error if indices that came from a file cannot be a layer's: places must be distinct, ascending and
// inside its matrix, the atoms of each vector of a block distinct and ascending.
func (s *Store) CheckIndices() error {
	for _, layer := range s.layerNames {
		for _, a := range s.layers[layer].Layout().Arrays {
			name := layer + "." + a.Name
			if x := s.atoms[name]; a.Atoms != nil && x.Index != nil {
				if err := x.check(); err != nil {
					return fmt.Errorf("nn: %s: %w", name, err)
				}
			}
			last := int32(-1)
			for k, p := range s.indices[name] {
				if p <= last || int(p) >= a.Places {
					return fmt.Errorf("nn: %s[%d] is %d, want ascending numbers from 0 to %d", name, k, p, a.Places-1)
				}
				last = p
			}
		}
	}
	return nil
}
