package sentence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Task is the task of a sentence encoder.
type Task struct {
	cfg       recipe.Config
	tokenizer tokenizers.Tokenizer
	files     task.Files
}

// Fits says why a config is not one of a sentence encoder.
func Fits(c recipe.Config) error {
	if c.Model.Sentence == nil {
		return errors.New("[model] has no table sentence, which says how to make one vector of a text")
	}
	_, err := task.Fit[model.Sequence, labelled.Source](c, "pairs of texts with scores")
	return err
}

// Open takes the tokenizer of a checkpoint, without which there is no sentence encoder yet.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	if files == nil {
		return nil, task.Refusef("[model.sentence] is of imported models: train one as an encoder by init_from, without that table")
	}
	t, err := task.ReadTokenizer(files)
	return &Task{cfg, t, files}, err
}

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	return task.Facts{
		Unit: "examples", PerRow: 1, PerBatch: t.cfg.Train.BatchSize, Each: "text",
		Files: task.Kept(t.files, map[string][]byte{"tokenizer.json": t.tokenizer.Save()}),
	}
}

// Read implements task.Task.
func (t *Task) Read(context.Context) error {
	return task.NoData("pairs of texts and their scores")
}

// Dims implements task.Task.
func (t *Task) Dims() (model.Dims, error) { return t.cfg.Dims(t.tokenizer.VocabSize()), nil }

// Shapes implements task.Task.
func (t *Task) Shapes(rows int) []model.Shape {
	return []model.Shape{{Rows: rows, Length: t.longest()}}
}

// Metrics implements task.Task: those of STS (Cer et al. 2017), over cosines.
func (t *Task) Metrics() []task.Metric {
	return []task.Metric{{Name: "spearman", Digits: 4}, {Name: "pearson", Digits: 4}}
}

// Longest implements task.Task.
func (t *Task) Longest() (key string, n int) { return "max_len", t.longest() }

// longest is how many tokens of a text are read.
func (t *Task) longest() int {
	return cmp.Or(t.cfg.Model.Sentence.MaxTokens, t.cfg.Dims(1).Context)
}

// Batches implements task.Task: vectors have no loss.
func (t *Task) Batches(context.Context, *model.Session, task.Feed) (task.Stream, error) {
	return nil, task.Refusef("a sentence encoder has no loss to train or calibrate by")
}

// On implements task.Filer: the file is one of source "tsv", of pairs with scores.
func (t *Task) On(file string) recipe.Config {
	cfg, tsv := t.cfg, t.cfg.Data.Columns()
	tsv.Train = file
	if len(tsv.TextColumns) == 0 {
		tsv.TextColumns, tsv.LabelColumn = []string{"sentence1", "sentence2"}, "score"
	}
	cfg.Data = recipe.From(tsv)
	return cfg
}

// Columns implements task.Filer.
func (t *Task) Columns(cfg recipe.Config) error {
	n := len(cfg.Data.Columns().TextColumns)
	if _, ok := cfg.Data.Labelled(); ok && n != 2 {
		return task.Refusef("[data] text_columns has %d columns; the cosine is of pairs, want 2", n)
	}
	return nil
}

// Evaluate implements task.Task.
func (t *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	from := t.cfg.Data.Columns()
	file := cmp.Or(m.File, map[task.Split]string{task.Validation: from.Validation, task.Test: from.Test}[m.Split])
	if file == "" {
		return task.Score{}, t.Read(ctx)
	}
	pairs, err := from.Pairs(file)
	if err != nil {
		return task.Score{}, task.Refuse(err)
	}
	limit := cmp.Or(m.Limit, t.cfg.Eval.Examples)
	if limit > 0 && limit < len(pairs) {
		pairs = pairs[:limit]
	}
	var texts []string
	places := map[string]int{}
	for _, p := range pairs {
		for _, text := range p.Texts {
			if _, seen := places[text]; !seen {
				places[text] = len(texts)
				texts = append(texts, text)
			}
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
	truth, cosines := make([]float64, len(pairs)), make([]float64, len(pairs))
	for i, p := range pairs {
		truth[i], cosines[i] = p.Score, cosine(vectors[places[p.Texts[0]]], vectors[places[p.Texts[1]]])
	}
	pearson, spearman := task.Correlations(truth, cosines)
	return task.NewScore(t, "examples", len(pairs), spearman, pearson), nil
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

// Embed implements task.Embedder. Longer texts are cut.
func (t *Task) Embed(ctx context.Context, s *model.Session, texts []string) ([][]float32, error) {
	return t.embed(ctx, s, texts, nil)
}

// batch is how many texts share a program.
const batch = 32

// embed runs texts of about the same length together; after, which may be nil, is told of each batch.
func (t *Task) embed(ctx context.Context, s *model.Session, texts []string, after func(done, total int)) ([][]float32, error) {
	lengths := t.cfg.Data.Lengths()
	lengths.MaxLen = t.longest()
	encoder, err := labelled.NewTextEncoder(t.tokenizer, lengths)
	if err != nil {
		return nil, err
	}
	examples, order := make([]labelled.Example, len(texts)), make([]int, len(texts))
	for i, text := range texts {
		if examples[i], err = encoder.Encode(text); err != nil {
			return nil, &task.InputError{Index: i, Err: err}
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(examples[b].Tokens) - len(examples[a].Tokens) })
	out := make([][]float32, len(texts))
	for first := 0; first < len(order); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some := order[first:min(first+batch, len(order))]
		if err := t.run(s, examples, some, out); err != nil {
			return nil, err
		}
		if after != nil {
			after(first/batch+1, (len(order)+batch-1)/batch)
		}
	}
	return out, nil
}

// run makes the vectors of some examples.
func (t *Task) run(s *model.Session, examples []labelled.Example, some []int, out [][]float32) error {
	shape := model.Shape{Rows: batch, Length: min(roundUp(len(examples[some[0]].Tokens)), t.longest())}
	if len(some) == 1 {
		shape.Rows = 1
	}
	p, err := s.Program(model.Score, shape)
	if err != nil {
		return err
	}
	n := shape.Length
	tokens, types, counts := make([]int, shape.Rows*n), make([]int, shape.Rows*n), make([]int, shape.Rows)
	shares := make([]float32, shape.Rows*n)
	for i := range tokens {
		tokens[i] = max(tokenizers.Specials(t.tokenizer).Pad, 0)
	}
	for row, i := range some {
		counts[row] = len(examples[i].Tokens)
		copy(tokens[row*n:], examples[i].Tokens)
		copy(types[row*n:], examples[i].Types)
		t.cfg.Model.Sentence.Weights(shares[row*n:(row+1)*n], counts[row])
	}
	leaves := map[string][]int{"tokens": tokens, "lengths": counts}
	if t.cfg.Model.Types() > 0 {
		leaves["types"] = types
	}
	p.Feed(leaves)
	p.Floats("shares").Set(shares)
	if err := p.Run(); err != nil {
		return err
	}
	rows := p.Output("embedding")
	for row, i := range some {
		out[i] = rows.Row(make([]float32, rows.Width), row)
		if t.cfg.Model.Sentence.Normalize {
			normalize(out[i])
		}
		for _, x := range out[i] {
			if x-x != 0 {
				return fmt.Errorf("the vector of a text is not made of finite numbers")
			}
		}
	}
	return nil
}

// roundUp is a length of few: each is a graph to build and to keep.
func roundUp(n int) int {
	step := 8
	for n > 8*step {
		step *= 2
	}
	return (n + step - 1) / step * step
}

// normalize gives a vector length 1; one of length 0 stays.
func normalize(x []float32) {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	if sum == 0 {
		return
	}
	scale := 1 / math.Sqrt(sum)
	for i, v := range x {
		x[i] = float32(float64(v) * scale)
	}
}
