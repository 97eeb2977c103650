package tokenizers

import (
	"math"
	"slices"
)

// unigramLattice are all ways to spell a word by the pieces of a model. It belongs to one goroutine.
type unigramLattice struct {
	model           *unigram
	forward, behind []float64 // log probability of all ways to spell what ends, and what starts, at a byte
}

// eachPiece calls yield with the pieces that begin at a byte of word: where they end, and their ids.
func (l *unigramLattice) eachPiece(word string, at int, yield func(end int, id int32)) {
	node := &l.model.trie[0]
	for i := at; i < len(word); i++ {
		k, ok := slices.BinarySearch(node.bytes, word[i])
		if !ok {
			return
		}
		if node = &l.model.trie[node.children[k]]; node.id >= 0 {
			yield(i+1, node.id)
		}
	}
}

// expect adds to sums how often each piece is expected in a word that occurs count times: for a piece from a to b
//
//	forward(a) p(piece) behind(b) / forward(end)
func (l *unigramLattice) expect(word string, count float64, sums []float64) {
	n := len(word)
	l.forward, l.behind = impossible(l.forward, n), impossible(l.behind, n)
	l.forward[0], l.behind[n] = 0, 0
	for at := range n {
		if from := l.forward[at]; !math.IsInf(from, -1) {
			l.eachPiece(word, at, func(end int, id int32) { l.forward[end] = logAdd(l.forward[end], from+l.model.scores[id]) })
		}
	}
	for at := n - 1; at >= 0; at-- {
		l.eachPiece(word, at, func(end int, id int32) {
			if to := l.behind[end]; !math.IsInf(to, -1) {
				l.behind[at] = logAdd(l.behind[at], to+l.model.scores[id])
			}
		})
	}
	whole := l.forward[n]
	for at := range n {
		if from := l.forward[at]; !math.IsInf(from, -1) {
			l.eachPiece(word, at, func(end int, id int32) {
				if x := from + l.model.scores[id] + l.behind[end] - whole; !math.IsInf(x, -1) {
					sums[id] += count * math.Exp(x)
				}
			})
		}
	}
}

// without is the log probability of the best way to spell a text by other pieces than one.
func (l *unigramLattice) without(text string, except int32) float64 {
	l.forward = impossible(l.forward, len(text))
	l.forward[0] = 0
	for at := range len(text) {
		if from := l.forward[at]; !math.IsInf(from, -1) {
			l.eachPiece(text, at, func(end int, id int32) {
				if id != except {
					l.forward[end] = max(l.forward[end], from+l.model.scores[id])
				}
			})
		}
	}
	return l.forward[len(text)]
}

// impossible are n+1 logarithms of 0.
func impossible(x []float64, n int) []float64 {
	x = slices.Grow(x[:0], n+1)[:n+1]
	for i := range x {
		x[i] = math.Inf(-1)
	}
	return x
}

// logAdd is ln(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
