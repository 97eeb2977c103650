package data

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
)

// Hashed is an example and the hash of its content.
type Hashed struct {
	Index int
	Hash  [sha256.Size]byte
}

// SortByHash returns n examples in the order of their hashes, equal ones in the order of their indices.
func SortByHash(n int, hash func(i int) [sha256.Size]byte) []Hashed {
	all := make([]Hashed, n)
	for i := range all {
		all[i] = Hashed{i, hash(i)}
	}
	slices.SortFunc(all, func(a, b Hashed) int {
		return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
	})
	return all
}

// LeastHashes returns the first limit examples in the order of their indices.
func LeastHashes(sorted []Hashed, limit int) []int {
	indices := make([]int, 0, limit)
	for _, h := range sorted[:min(limit, len(sorted))] {
		indices = append(indices, h.Index)
	}
	slices.Sort(indices)
	return indices
}

// HoldOut chooses a share of each class, those examples with the least hashes: the same ones on every machine, and equal
// examples of a class on the same side, since what was trained on validates nothing. Without labels all are one class. It
// returns the indices of those to keep and of those held out, ascending.
func HoldOut(sorted []Hashed, labels []int32, share float64) (keep, out []int) {
	classes := map[int32][]Hashed{}
	for _, h := range sorted {
		class := int32(0)
		if labels != nil {
			class = labels[h.Index]
		}
		classes[class] = append(classes[class], h)
	}
	held := make([]bool, len(sorted))
	for _, examples := range classes { // the order of classes decides nothing
		n := int(math.Round(share * float64(len(examples))))
		for i, h := range examples {
			if i >= n && (n == 0 || h.Hash != examples[n-1].Hash) {
				break
			}
			held[h.Index] = true
		}
	}
	for i, h := range held {
		if h {
			out = append(out, i)
		} else {
			keep = append(keep, i)
		}
	}
	return keep, out
}
