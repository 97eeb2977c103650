package interpret

import (
	"cmp"
	"math"
	"slices"

	"sparrow/factor"
)

// What is kept of a feature.
const (
	keptNeurons  = 12
	keptContexts = 8
	around       = 15 // tokens on each side of a context's
	keptTokens   = 10
	strongest    = 60 // tokens from which the next ones are counted
	keptNext     = 5
)

// flat are the tokens that count, in the order of the activations.
type flat struct {
	c     *corpus
	at    []int32 // window of each
	place []int32 // in its window
}

func (c *corpus) flat() *flat {
	f := &flat{c: c}
	for i, w := range c.train {
		for j := w.first; j < w.last; j++ {
			f.at, f.place = append(f.at, int32(i)), append(f.place, int32(j))
		}
	}
	return f
}

// next is the token after one; false: its window ends.
func (f *flat) next(i int) (int, bool) {
	w := f.c.train[f.at[i]]
	if at := int(f.place[i]) + 1; at < len(w.ids) {
		return w.ids[at], true
	}
	return 0, false
}

// describe says of each feature of a set where its coefficients g [n, k] are large, and how.
func (s *Set) describe(g *factor.Matrix, f *flat) {
	k := g.Cols
	counts, total := map[int]int{}, 0
	for i := range g.Rows {
		if id, ok := f.next(i); ok {
			counts[id]++
			total++
		}
	}
	whole := 0.0
	for _, x := range g.Data {
		whole += x * x
	}
	s.Tokens, s.Dead, s.Features = g.Rows, 0, make([]Feature, k)
	column := make([]float64, g.Rows)
	for c := range k {
		x := &s.Features[c]
		for i := range column {
			v := g.Data[i*k+c]
			column[i] = v
			if v > 0 {
				x.Usage += 1 / float64(g.Rows)
			}
			x.Mean += v / float64(g.Rows)
			if whole > 0 {
				x.Share += v * v / whole
			}
		}
		if x.Usage == 0 {
			s.Dead++
		}
		x.Neurons = largest(s.Z.Row(c), keptNeurons)
		x.strongest = top(column, strongest)
		x.Contexts = f.contexts(x.strongest, column)
		x.Next = f.lift(x.strongest, counts, total)
	}
}

// largest are the entries of a feature that are largest.
func largest(z []float64, n int) (all []Neuron) {
	sizes := make([]float64, len(z))
	for i, x := range z {
		sizes[i] = math.Abs(x)
	}
	for _, i := range top(sizes, n) {
		all = append(all, Neuron{i, z[i]})
	}
	return all
}

// top are the places of the n largest values above 0, the largest first, of equal ones the first.
func top(x []float64, n int) []int {
	var at []int
	for i, v := range x {
		if v > 0 {
			at = append(at, i)
		}
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return at[:min(n, len(at))]
}

// contexts are the texts around the strongest tokens, one of each window.
func (f *flat) contexts(strongest []int, values []float64) (all []Context) {
	seen := map[int32]bool{}
	for _, i := range strongest {
		if len(all) == keptContexts || seen[f.at[i]] {
			continue
		}
		seen[f.at[i]] = true
		w := f.c.train[f.at[i]]
		at := int(f.place[i])
		c := Context{}
		for j := max(w.first, at-around); j < min(w.last, at+around+1); j++ {
			if j == at {
				c.At = len(c.Tokens)
			}
			c.Tokens = append(c.Tokens, f.c.tokenizer.Decode(w.ids[j:j+1]))
			c.Values = append(c.Values, rounded(values[i+j-at]))
		}
		all = append(all, c)
	}
	return all
}

// rounded keeps four digits: files are read by people.
func rounded(x float64) float64 {
	if x == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// lift are the tokens that follow the strongest tokens of a feature more often than any: how many times as often. One that
// follows once alone may do so by chance and does not count.
func (f *flat) lift(strongest []int, counts map[int]int, total int) []Token {
	own, n := map[int]int{}, 0
	for _, i := range strongest {
		if id, ok := f.next(i); ok {
			own[id]++
			n++
		}
	}
	var all []Token
	for id, c := range own {
		if c > 1 {
			all = append(all, Token{id, f.c.tokenizer.Decode([]int{id}), rounded(float64(c) / float64(n) * float64(total) / float64(counts[id]))})
		}
	}
	slices.SortFunc(all, func(a, b Token) int { return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.ID, b.ID)) })
	return all[:min(keptNext, len(all))]
}
