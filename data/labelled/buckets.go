package labelled

import "slices"

// maxBuckets is how many lengths batches are padded to: each one is a graph to build and to hold.
const maxBuckets = 4

// bucketLengths returns the lengths to pad to, ascending, at most maxBuckets of them, for examples of these lengths: those
// that make the fewest padded tokens. They are multiples of 16, or of 8 up to 128 tokens, so that kernels work on whole
// vectors; the last one is at most maxLen, for a network may have no positions beyond.
func bucketLengths(lengths []int, maxLen int) []int {
	longest := min(slices.Max(lengths), maxLen)
	grain := 8
	if longest > 128 {
		grain = 16
	}
	for longest > grain*maxCandidates {
		grain *= 2
	}
	// Candidate c is the length (c+1)*grain; counts are of the examples that need it.
	counts := make([]int, (longest+grain-1)/grain)
	for _, n := range lengths {
		counts[(max(min(n, longest), 1)-1)/grain]++
	}
	// Dynamic programming: cost[k][c] is the least padded length, in grains, of the examples up to candidate c in k+1 buckets,
	// the last of which is c.
	n := len(counts)
	below := make([]int, n+1) // examples before candidate c
	for c, count := range counts {
		below[c+1] = below[c] + count
	}
	cost, from := make([][]int, maxBuckets), make([][]int, maxBuckets)
	for k := range maxBuckets {
		cost[k], from[k] = make([]int, n), make([]int, n)
		for c := range n {
			cost[k][c], from[k][c] = below[c+1]*(c+1), -1
			if k == 0 {
				continue
			}
			for p := range c {
				if total := cost[k-1][p] + (below[c+1]-below[p+1])*(c+1); total < cost[k][c] {
					cost[k][c], from[k][c] = total, p
				}
			}
		}
	}
	var buckets []int
	for k, c := maxBuckets-1, n-1; c >= 0; k-- {
		buckets = append(buckets, min((c+1)*grain, maxLen))
		c = from[k][c]
	}
	slices.Reverse(buckets)
	return buckets
}

// maxCandidates bounds the work of choosing lengths.
const maxCandidates = 256

// bucketOf returns the index of the least bucket that holds a length.
func bucketOf(buckets []int, length int) int {
	i, _ := slices.BinarySearch(buckets, length)
	return min(i, len(buckets)-1)
}
