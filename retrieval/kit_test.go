package retrieval

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"sparrow/factor/cur"
	"sparrow/internal/rng"
)

// world is a scorer whose scores come of latent numbers, as a cross-encoder's: 4 tanh((q.i + bias)/4) and noise. Encoders see the first
// numbers alone.
type world struct {
	items, queries [][]float64
	bias           []float64
	calls          int
	fail           func(call int) error
}

const latent = 12

func newWorld(items, queries int, seed uint64) *world {
	r := rng.New(seed, "retrieval test", 0)
	w := &world{bias: make([]float64, items)}
	rng.FillNormal(r, w.bias, 0, 0.5)
	draw := func(n int, decay float64) (all [][]float64) {
		for range n {
			v := make([]float64, latent)
			rng.FillNormal(r, v, 0, 1)
			for j := range v {
				v[j] *= math.Pow(decay, float64(j))
			}
			all = append(all, v)
		}
		return all
	}
	w.items, w.queries = draw(items, 0.85), draw(queries, 1)
	return w
}

func (w *world) itemTexts() (items []Item) {
	for i := range w.items {
		items = append(items, Item{Text: fmt.Sprintf("item %d%s", i, strings.Repeat(" x", i%7))})
	}
	return items
}

func (w *world) queryTexts() (queries []Query) {
	for i := range w.queries {
		queries = append(queries, Query{Text: fmt.Sprintf("query %d", i)})
	}
	return queries
}

func number(text string) (i int) {
	_, _ = fmt.Sscanf(text[strings.IndexByte(text, ' ')+1:], "%d", &i)
	return i
}

func (w *world) score(q, i int) float64 {
	sum := w.bias[i]
	for j, v := range w.queries[q] {
		sum += v * w.items[i][j]
	}
	r := rng.New(uint64(q)<<20|uint64(i), "noise", 0)
	return 4*math.Tanh(sum/4) + 0.2*(r.Float64()+r.Float64()+r.Float64()-1.5)
}

func (w *world) Score(_ context.Context, query string, items []string) ([]float64, error) {
	if w.calls++; w.fail != nil {
		if err := w.fail(w.calls); err != nil {
			return nil, err
		}
	}
	out := make([]float64, len(items))
	for i, item := range items {
		if strings.HasPrefix(query, "item") { // an anchor as a query
			for j, v := range w.items[number(query)] {
				out[i] += v * w.items[number(item)][j]
			}
			continue
		}
		out[i] = w.score(number(query), number(item))
	}
	return out, nil
}

func (w *world) Name() string { return "world" }
func (w *world) Hash() string { return "hash of the world" }

// dense sees most of the latent numbers; of queries it does not see them well.
type dense struct{ *world }

func (d dense) vector(v []float64) []float32 {
	out := make([]float32, 10)
	for j := range out {
		out[j] = float32(v[j])
	}
	unit(out)
	return out
}

func (d dense) Query(_ context.Context, text string) ([]float32, error) {
	v := slices.Clone(d.queries[number(text)])
	r := rng.New(uint64(number(text)), "dense", 0)
	for j := range v {
		v[j] += 2 * (r.Float64() - 0.5)
	}
	return d.vector(v), nil
}

func (d dense) Items(_ context.Context, texts []string) (out [][]float32, err error) {
	for _, text := range texts {
		out = append(out, d.vector(d.items[number(text)]))
	}
	return out, nil
}

func (d dense) Hash() string { return "hash of dense" }

func testConfig() Config {
	c := DefaultConfig()
	c.Queries, c.Anchors, c.Choose, c.Crossed = 60, 40, cur.Strong, 20
	return c
}
