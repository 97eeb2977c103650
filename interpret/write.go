package interpret

import (
	"cmp"
	"math"
	"slices"

	"sparrow/data/tokenizers"
	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// written is where a set's features are added, and as what: directions of the residual stream [k, D] at a site. Adding z to what
// an MLP holds inside is adding W z to what it writes.
func (s *Set) written(l *saved.Model) (site string, directions *factor.Matrix, err error) {
	b, err := blockOf(l, s.Layer)
	if err != nil {
		return "", nil, err
	}
	switch s.Site {
	case Residual:
		return b.Output, s.Z, nil
	case Out:
		return b.MLP, s.Z, nil
	}
	store := l.Session.Store()
	layer := store.Layer(b.Down)
	if layer.In != s.Z.Cols {
		return "", nil, task.Refusef("features of %d neurons, but %s has %d", s.Z.Cols, b.Down, layer.In)
	}
	w := store.DenseWeight(b.Down) // [D, d]
	directions = factor.NewMatrix(s.Z.Rows, layer.Out)
	kernel.Gemm(false, true, s.Z.Rows, layer.Out, layer.In, 1, s.Z.Data, layer.In, w, layer.In, 0, directions.Data, layer.Out)
	return b.MLP, directions, nil
}

// promote finds which tokens of a decoder's vocabulary the features speak for, and which against: scores of the direction alone,
// normalised as the residual stream is at its end and less their mean over the vocabulary.
//
// The direction is added to the last block's output, so large that what is there does not count; the norm behind does not see
// sizes. So no part of the network need be taken apart.
func (s *Set) promote(l *saved.Model, t tokenizers.Tokenizer) error {
	if _, writes := l.Task.(task.Generator); !writes {
		return nil
	}
	_, directions, err := s.written(l)
	if err != nil {
		return err
	}
	end, err := blockOf(l, l.Config.Model.Body().Blocks()-1)
	if err != nil {
		return err
	}
	const rows = 16
	const drowning = 1e6
	p, err := l.Session.Program(model.Score, model.Shape{Rows: rows, Length: 1}, model.AddTo(end.Output), "logits")
	if err != nil {
		return err
	}
	feed(p, slices.Repeat([][]int{{0}}, rows))
	for at := 0; at < directions.Rows; at += rows {
		leaf := p.Floats(model.AddedLeaf(end.Output))
		n := min(rows, directions.Rows-at)
		for i := range n {
			d := slices.Clone(directions.Row(at + i))
			unit(d)
			for j, x := range d {
				leaf.Put(i, j, drowning*x)
			}
		}
		if err := p.Run(); err != nil {
			return err
		}
		logits := p.Site("logits")
		scores := make([]float32, logits.Width)
		for i := range n {
			scores = logits.Row(scores, i)
			s.Features[at+i].Promoted, s.Features[at+i].Suppressed = extremes(scores[:min(len(scores), t.VocabSize())], t)
		}
	}
	return nil
}

// extremes are the tokens with the highest and the lowest scores, over the mean.
func extremes(scores []float32, t tokenizers.Tokenizer) (high, low []Token) {
	mean := 0.0
	order := make([]int, len(scores))
	for i, x := range scores {
		order[i] = i
		mean += float64(x) / float64(len(scores))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	take := func(id int) Token {
		return Token{id, t.Decode([]int{id}), math.Round(1e3*(float64(scores[id])-mean)) / 1e3}
	}
	n := min(keptTokens, len(order)/2)
	for i := range n {
		high = append(high, take(order[i]))
		low = append(low, take(order[len(order)-1-i]))
	}
	return high, low
}
