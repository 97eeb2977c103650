package decoder

import (
	"fmt"
	"math"

	"sparrow/kernel"
	"sparrow/model"
)

// AttentionWeights runs a text through the network and tells how one head of one layer weighs its tokens: row i has the shares of
// tokens 0 to i in what token i reads, softmax(q·k / sqrt(K)) of the queries and keys that the layer attends with. layer and head
// count from 0. s must be a session of this network, by itself.
func (c Config) AttentionWeights(s *model.Session, tokens []int, layer, head int) ([][]float64, error) {
	heads := c.Attention.NHead
	if layer < 0 || layer >= c.NLayer || head < 0 || head >= heads {
		return nil, fmt.Errorf("model: layer %d, head %d; want 0 to %d and 0 to %d", layer, head, c.NLayer-1, heads-1)
	}
	length := 16
	for length < len(tokens) {
		length *= 2 // few programs; what follows a token changes nothing of it
	}
	if c.Context > 0 {
		length = max(len(tokens), min(length, c.Context))
	}
	site := fmt.Sprintf("model.layers.%d.self_attn.", layer)
	p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: length}, site+"query", site+"key")
	if err != nil {
		return nil, err
	}
	padded := make([]int, length)
	copy(padded, tokens)
	p.Feed(map[string][]int{"tokens": padded})
	if err := p.Run(); err != nil {
		return nil, err
	}
	q, k := p.Site(site+"query"), p.Site(site+"key")
	width := q.Width / heads
	first := head / (heads / (k.Width / width)) * width // of the key that the head reads
	queries, keys := wide(q, len(tokens), head*width, width), wide(k, len(tokens), first, width)
	out := make([][]float64, len(tokens))
	for i, query := range queries {
		scores := make([]float64, i+1)
		most := math.Inf(-1)
		for j := range scores {
			scores[j] = kernel.Dot(query, keys[j]) / math.Sqrt(float64(width))
			most = max(most, scores[j])
		}
		sum := 0.0
		for j, x := range scores {
			scores[j] = math.Exp(x - most)
			sum += scores[j]
		}
		for j := range scores {
			scores[j] /= sum
		}
		out[i] = scores
	}
	return out, nil
}

// wide is a part of the first n rows in float64.
func wide(rows model.Rows, n, from, width int) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, width)
		for j := range out[i] {
			out[i][j] = rows.At(i, from+j)
		}
	}
	return out
}
