package sentence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"sparrow/data"
	"sparrow/data/labelled"
	"sparrow/model"
	"sparrow/task"
)

// Batches implements task.Stepped: rows are pairs. In Score there is no loss, and scores are not fed.
func (t *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	f.Rows = cmp.Or(f.Rows, t.cfg.Train.BatchSize)
	b := &labelled.Batch{}
	if t.texts() == 1 && f.File == "" {
		if err := task.NoLabels(t.cfg, f, pairsWanted); err != nil {
			return nil, err
		}
	}
	if f.Endless() {
		if err := t.Read(ctx); err != nil {
			return nil, err
		}
		loader, err := t.loader(t.data, f.Rows, f.Seed)
		if err != nil {
			return nil, err
		}
		full := t.full(t.data.Train)
		return &task.Feeder{Order: loader, Rows: func() []int { return b.Lengths }, Fill: func(int) (*model.Program, int, error) {
			loader.Next(b)
			return t.feed(s, f, b, full)
		}}, f.Prepare(s, t.Shapes(f.Rows))
	}
	x, full, err := t.part(ctx, f.Split, f.File)
	if err != nil {
		return nil, err
	}
	set := labelled.EvalBatches(x, f.Rows, t.longest(), f.Limit)
	if set.Len() == 0 {
		return nil, errors.New("train: no pairs to measure on")
	}
	return &task.Feeder{N: set.Batches(), Rows: func() []int { return b.Lengths }, Fill: func(i int) (*model.Program, int, error) {
		set.Batch(i, b)
		return t.feed(s, f, b, full)
	}}, nil
}

// pairsWanted is what a loss is of.
const pairsWanted = "pairs of texts with scores"

// feed gives a batch of pairs to a program.
func (t *Task) feed(s *model.Session, f task.Feed, b *labelled.Batch, full float64) (*model.Program, int, error) {
	p, err := f.Program(s, model.Shape{Rows: t.texts() * f.Rows, Length: b.SeqLen})
	if err != nil {
		return nil, 0, err
	}
	marks, count := b.Labels, b.N
	if t.how.Temperature > 0 && t.texts() == 2 {
		marks, count = t.positives(b, full)
	}
	p.Feed(map[string][]int{"tokens": b.Tokens, "types": b.Types, "lengths": b.Lengths, "targets": marks})
	shares := make([]float32, len(b.Tokens))
	for row, n := range b.Lengths {
		if n > 0 {
			t.how.Shares(shares[row*b.SeqLen:(row+1)*b.SeqLen], n)
		}
	}
	p.Floats("shares").Set(shares)
	if p.Has("truth") {
		for i, score := range b.Scores {
			p.Floats("truth").Put(i, 0, score/full)
		}
	}
	return p, count, nil
}

// positives marks the pairs of a batch that mean the same, by half of the full score, and tells how many there are. A text that is there
// already would be told from itself: its later pairs are left out.
func (t *Task) positives(b *labelled.Batch, full float64) (marks []int, count int) {
	seen := map[string]bool{}
	marks = make([]int, len(b.Labels))
	for i, label := range b.Labels {
		first, second := t.text(b, 2*i), t.text(b, 2*i+1)
		if marks[i] = label; label == data.IgnoredTarget {
			continue
		}
		if b.Scores[i]/full < 0.5 || seen[first] || seen[second] {
			marks[i] = data.IgnoredTarget
			continue
		}
		seen[first], seen[second] = true, true
		count++
	}
	return marks, max(count, 1)
}

// text tells the tokens of a row from others.
func (t *Task) text(b *labelled.Batch, row int) string {
	return fmt.Sprint(b.Tokens[row*b.SeqLen : row*b.SeqLen+b.Lengths[row]])
}

// part reads the pairs of a split, or of a file, and the score of texts that mean the same.
func (t *Task) part(ctx context.Context, split task.Split, file string) (*labelled.Examples, float64, error) {
	if file == "" && t.texts() == 1 {
		return nil, 0, task.NoLabels(t.cfg, task.Feed{Split: split}, pairsWanted)
	}
	if file == "" {
		if err := t.Read(ctx); err != nil {
			return nil, 0, err
		}
		x, err := task.Part(split, t.data.Train, t.data.Validation, t.data.Test, ", or a file of pairs by --file")
		return x, t.full(t.data.Train), err
	}
	x, err := t.columns(t.cfg.Data.Columns()).Pairs(ctx, file, t.tokenizer)
	if err != nil {
		return nil, 0, task.Refuse(err)
	}
	return x, t.full(x), nil
}

// Evaluate implements task.Task. Texts that occur more than once are read once.
func (t *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	x, full, err := t.part(ctx, m.Split, m.File)
	if err != nil {
		return task.Score{}, err
	}
	n := x.Len()
	if limit := cmp.Or(m.Limit, t.cfg.Eval.Examples); limit > 0 {
		n = min(n, limit)
	}
	var texts [][]int
	places := map[string]int{}
	pairs, truth := make([][2]int, n), make([]float64, n)
	for i := range n {
		at := i * x.Len() / n // spread over all
		truth[i] = x.Score(at) / full
		for side, tokens := range x.Texts(at) {
			key := fmt.Sprint(tokens)
			if _, seen := places[key]; !seen {
				places[key] = len(texts)
				texts = append(texts, tokens)
			}
			pairs[i][side] = places[key]
		}
	}
	vectors, err := t.embed(ctx, s, texts, func(done, total int) {
		if m.After != nil {
			m.After(done, total, math.NaN())
		}
	})
	if err != nil {
		return task.Score{}, err
	}
	cosines, loss := make([]float64, n), 0.0
	for i, p := range pairs {
		cosines[i] = cosine(vectors[p[0]], vectors[p[1]])
		loss += (cosines[i] - truth[i]) * (cosines[i] - truth[i]) / float64(n)
	}
	pearson, spearman := task.Correlations(truth, cosines)
	return task.NewScore(t, "examples", n, loss, spearman, pearson), nil
}

// cosine is that of the angle between two vectors; 0 where one has no direction.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		y := float64(b[i])
		ab, aa, bb = ab+float64(x)*y, aa+float64(x)*float64(x), bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
