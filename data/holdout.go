package data

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
)

// hashed is an example and the hash of its content.
type hashed struct {
	index int
	hash  [sha256.Size]byte
}

// sortedByHash returns n examples in the order of their hashes, equal ones in the order of their indices.
func sortedByHash(n int, hash func(i int) [sha256.Size]byte) []hashed {
	all := make([]hashed, n)
	for i := range all {
		all[i] = hashed{i, hash(i)}
	}
	slices.SortFunc(all, func(a, b hashed) int {
		return cmp.Or(bytes.Compare(a.hash[:], b.hash[:]), cmp.Compare(a.index, b.index))
	})
	return all
}

// leastHashes returns the first limit examples in the order of their indices.
func leastHashes(sorted []hashed, limit int) []int {
	indices := make([]int, 0, limit)
	for _, h := range sorted[:min(limit, len(sorted))] {
		indices = append(indices, h.index)
	}
	slices.Sort(indices)
	return indices
}

// holdOut chooses a share of each class, those examples with the least hashes: the same ones on every machine, and equal
// examples of a class on the same side, since what was trained on validates nothing. Without labels all are one class. It
// returns the indices of those to keep and of those held out, ascending.
func holdOut(sorted []hashed, labels []int32, share float64) (keep, out []int) {
	classes := map[int32][]hashed{}
	for _, h := range sorted {
		class := int32(0)
		if labels != nil {
			class = labels[h.index]
		}
		classes[class] = append(classes[class], h)
	}
	held := make([]bool, len(sorted))
	for _, examples := range classes { // the order of classes decides nothing
		n := int(math.Round(share * float64(len(examples))))
		for i, h := range examples {
			if i >= n && (n == 0 || h.hash != examples[n-1].hash) {
				break
			}
			held[h.index] = true
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
