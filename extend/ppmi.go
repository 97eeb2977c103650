package extend

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/factor"
)

// Embedded are word vectors that were made of a corpus.
type Embedded struct {
	Words   []string
	Vectors *factor.Matrix // [words, rank]
}

// Each implements Words.
func (e *Embedded) Each(ctx context.Context, yield func(string, []float32) error) error {
	row := make([]float32, e.Vectors.Cols)
	for i, word := range e.Words {
		for j, x := range e.Vectors.Row(i) {
			row[j] = float32(x)
		}
		if err := yield(word, row); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// EmbedConfig says how word vectors are made.
type EmbedConfig struct {
	Rank   int // numbers of a vector
	Window int // words on each side of a word of a line that count together with it
	Limit  int // words, the most frequent
	Seed   uint64
}

// DefaultEmbed is what is usual.
func DefaultEmbed() EmbedConfig { return EmbedConfig{Rank: 200, Window: 4, Limit: 50_000} }

// Embed makes vectors of a corpus' words: the positive pointwise mutual information of words that count together,
//
//	M_ij = max(0, ln (n_ij N / (n_i n_j)))
//
// with n_ij how often, n_i their sum over j and N that over all, is factorized by a randomized singular value decomposition
// (Levy and Goldberg 2014); the vectors are U sqrt(S). told hears of the stages.
func (c *Corpus) Embed(ctx context.Context, cfg EmbedConfig, told factor.Progress) (*Embedded, error) {
	words, err := c.vocabulary(ctx, cfg.Limit)
	if err != nil {
		return nil, err
	}
	if len(words) < 2 {
		return nil, fmt.Errorf("extend: vectors from text: %d words occur twice; want more text, in both languages", len(words))
	}
	ids := make(map[string]uint32, len(words))
	for i, word := range words {
		ids[word] = uint32(i)
	}
	counts, err := c.together(ctx, ids, cfg.Window)
	if err != nil {
		return nil, err
	}
	m := mutualInformation(counts, len(words))
	if len(m.values) == 0 {
		return nil, fmt.Errorf("extend: vectors from text: none of %d words is more often beside another than by chance; want more text", len(words))
	}
	d, err := factor.RandomizedProducts(ctx, m, factor.RandomizedConfig{Rank: min(cfg.Rank, len(words)), Power: 2, Seed: cfg.Seed}, told)
	if err != nil {
		return nil, fmt.Errorf("extend: vectors from text: %w", err)
	}
	for i := range words {
		for j, x := range d.U.Row(i) {
			d.U.Row(i)[j] = x * math.Sqrt(d.S[j])
		}
	}
	return &Embedded{words, d.U}, nil
}

// pairs counts unordered pairs of different words: sorted keys, the smaller word in the upper half, with their counts.
type pairs struct {
	keys   []uint64
	counts []uint32
	fresh  []uint64 // not yet counted
}

// batch bounds what is not yet counted: 32 MB.
const batch = 1 << 22

func (p *pairs) add(a, b uint32) {
	if a == b {
		return
	}
	if p.fresh = append(p.fresh, uint64(min(a, b))<<32|uint64(max(a, b))); len(p.fresh) >= batch {
		p.merge()
	}
}

// merge counts what is new.
func (p *pairs) merge() {
	slices.Sort(p.fresh)
	keys, counts := make([]uint64, 0, len(p.keys)+len(p.fresh)/2), make([]uint32, 0, len(p.keys)+len(p.fresh)/2)
	put := func(key uint64, n uint32) {
		if last := len(keys) - 1; last >= 0 && keys[last] == key {
			counts[last] += min(n, math.MaxUint32-counts[last])
			return
		}
		keys, counts = append(keys, key), append(counts, n)
	}
	i := 0
	for _, key := range p.fresh {
		for ; i < len(p.keys) && p.keys[i] <= key; i++ {
			put(p.keys[i], p.counts[i])
		}
		put(key, 1)
	}
	for ; i < len(p.keys); i++ {
		put(p.keys[i], p.counts[i])
	}
	p.keys, p.counts, p.fresh = keys, counts, p.fresh[:0]
}

// together counts words within a window of a line, and the different words of a pair, each with each.
func (c *Corpus) together(ctx context.Context, ids map[string]uint32, window int) (*pairs, error) {
	p := &pairs{}
	var line []uint32
	collect := func(text string) {
		eachWord(text, func(word string) {
			if id, ok := ids[word]; ok {
				line = append(line, id)
			}
		})
	}
	for n, text := range c.Lines {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line = line[:0]
		collect(text)
		for i, a := range line {
			for _, b := range line[i+1 : min(i+1+window, len(line))] {
				p.add(a, b)
			}
		}
	}
	for n, pair := range c.Pairs {
		if n%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line = line[:0]
		for _, side := range pair {
			collect(side)
		}
		slices.Sort(line)
		line = slices.Compact(line)
		for i, a := range line {
			for _, b := range line[i+1:] {
				p.add(a, b)
			}
		}
	}
	p.merge()
	return p, nil
}

// mutualInformation is the sparse matrix of what is more than chance.
func mutualInformation(p *pairs, n int) *symmetric {
	sums, all := make([]float64, n), 0.0
	for i, key := range p.keys {
		x := float64(p.counts[i])
		sums[key>>32] += x
		sums[uint32(key)] += x
		all += 2 * x
	}
	value := func(i int) float64 {
		a, b := p.keys[i]>>32, uint32(p.keys[i])
		return math.Log(float64(p.counts[i]) * all / (sums[a] * sums[b]))
	}
	m := &symmetric{start: make([]int, n+1)}
	for i, key := range p.keys { // how many each row has
		if value(i) > 0 {
			m.start[key>>32+1]++
			m.start[uint64(uint32(key))+1]++
		}
	}
	for i := range n {
		m.start[i+1] += m.start[i]
	}
	m.index, m.values = make([]int32, m.start[n]), make([]float64, m.start[n])
	next := slices.Clone(m.start[:n])
	put := func(row, column uint64, x float64) {
		m.index[next[row]], m.values[next[row]] = int32(column), x
		next[row]++
	}
	for i, key := range p.keys { // the lower half, whose columns come before those of the upper one
		if x := value(i); x > 0 {
			put(uint64(uint32(key)), key>>32, x)
		}
	}
	for i, key := range p.keys {
		if x := value(i); x > 0 {
			put(key>>32, uint64(uint32(key)), x)
		}
	}
	return m
}
