package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/data"
	"sparrow/model"
)

// Labels is labels.json: what the scores of a classifier stand for.
type Labels struct {
	Names      []string `json:"labels"`     // of the classes, in the order of their ids; of a regression null
	Regression bool     `json:"regression"` // one score for each text
	Pairs      bool     `json:"pairs"`      // texts come in pairs
}

// labelled is the task of a classifier: the label of each text, or of each pair of texts, or its score.
type labelled struct {
	cfg    Config
	data   *data.Labelled
	labels Labels
	loader *data.ExampleLoader
	batch  data.ExampleBatch

	program func(seqLen int) (*model.Program, error)
}

func openLabelled(ctx context.Context, cfg Config, from *kept) (*labelled, error) {
	var d *data.Labelled
	var err error
	if from == nil {
		d, err = data.OpenLabelled(ctx, cfg.Data)
	} else {
		d, err = from.openLabelled(ctx, cfg.Data)
	}
	if err != nil {
		return nil, err
	}
	if err := checkMetric(cfg.Eval.Metric, len(d.Labels)); err != nil {
		return nil, err
	}
	l := &labelled{cfg: cfg, data: d, labels: Labels{Names: d.Labels, Regression: d.Labels == nil, Pairs: d.Pairs}}
	l.loader, err = data.NewExampleLoader(d.Train, data.ExampleLoaderConfig{
		BatchSize: cfg.Train.BatchSize, MaxLen: cfg.labelledContext(), Seed: cfg.Seed,
	})
	return l, err
}

// labelledContext is the longest text, in tokens.
func (c Config) labelledContext() int {
	if c.Model.Context > 0 {
		return c.Model.Context
	}
	return c.Data.MaxLen
}

// dims are the sizes of a network that gives such labels.
func (l Labels) dims(cfg Config, vocabSize int) model.Dims {
	return model.Dims{VocabSize: vocabSize, Context: cfg.labelledContext(), Classes: len(l.Names), Regression: l.Regression}
}

func (l *labelled) about() about {
	d, lengths := l.data, l.loader.SeqLens()
	return about{
		data: d.Describe(), sha256: d.SHA256, bytes: d.TextBytes(), tokenizer: d.Tokenizer,
		dims: l.labels.dims(l.cfg, d.Tokenizer.VocabSize()), seqLen: lengths[len(lengths)-1], lengths: len(lengths),
		files: map[string][]byte{"tokenizer.json": d.Tokenizer.Save(), "labels.json": jsonFile(l.labels)}, unit: "examples",
	}
}

// begin builds the programs from the longest down, so that all fit into the memory of the first, and puts pretrained
// vectors into the embedding.
func (l *labelled) begin(s *model.Session, program func(batch, seqLen int) (*model.Program, error)) error {
	l.program = func(seqLen int) (*model.Program, error) { return program(l.cfg.Train.BatchSize, seqLen) }
	for _, n := range slices.Backward(l.loader.SeqLens()) {
		if _, err := l.program(n); err != nil {
			return err
		}
	}
	if l.data.Vectors == nil {
		return nil
	}
	return setVectors(s, l.data.Vectors)
}

// setVectors puts pretrained vectors in place of the initial values of the words that have one.
func setVectors(s *model.Session, v *data.Vectors) error {
	name := s.Config().WordEmbedding()
	shape := s.Store().Shape(name)
	if shape == nil || shape[1] != v.Dim {
		return fmt.Errorf("[data] vectors have %d numbers each, and the embedding %s is of shape %v; want the same width", v.Dim, name, shape)
	}
	w := s.Store().Get(name).Float32s()
	for id, has := range v.Has {
		if has {
			copy(w[id*v.Dim:(id+1)*v.Dim], v.Rows[id*v.Dim:(id+1)*v.Dim])
		}
	}
	return nil
}

func (l *labelled) next() (*model.Program, int, error) {
	l.loader.Next(&l.batch)
	p, err := l.program(l.batch.SeqLen)
	if err != nil {
		return nil, 0, err
	}
	p.FeedExamples(examplesOf(&l.batch))
	return p, l.batch.N, nil
}

func examplesOf(b *data.ExampleBatch) model.Examples {
	return model.Examples{Tokens: b.Tokens, Types: b.Types, Lengths: b.Lengths, Labels: b.Labels, Scores: b.Scores}
}

func (l *labelled) lengths() []int { return l.batch.Lengths }

func (l *labelled) cursor() data.Cursor           { return l.loader.Cursor() }
func (l *labelled) seek(cursor data.Cursor) error { return l.loader.Seek(cursor) }

func (l *labelled) evaluate(ctx context.Context, s *model.Session, after func(done, total int, loss float64)) (Score, error) {
	return EvaluateExamples(ctx, s, l.data.Validation, l.cfg.Train.BatchSize, l.cfg.Eval.Examples, after)
}

// finish suggests the first words of the validation split.
func (l *labelled) finish(_ context.Context, _ *model.Session, r *Result) error {
	const most = 8
	x := l.data.Validation.At(0)
	var ids []int
	specials := data.Specials(l.data.Tokenizer)
	for i, id := range x.Tokens {
		if len(ids) < most && x.Types[i] == 0 && id != specials.Start && id != specials.Separator && id != specials.Unknown {
			ids = append(ids, id)
		}
	}
	r.Text, r.Pairs = l.data.Tokenizer.Decode(ids), l.labels.Pairs
	return nil
}

// EvaluateExamples measures a classifier on up to limit examples (0: all), always the same ones, in batches of batch
// examples. after, if not nil, is told of every batch and of the mean loss so far.
func EvaluateExamples(ctx context.Context, s *model.Session, x *data.Examples, batch, limit int, after func(done, total int, loss float64)) (Score, error) {
	dims := s.Dims()
	set := data.ExampleBatches(x, batch, dims.Context, limit)
	if set.Len() == 0 {
		return Score{}, fmt.Errorf("train: no examples to measure on")
	}
	var b data.ExampleBatch
	var sum float64
	seen := newConfusion(dims.Classes)
	var truth, scores []float64
	count := 0
	for i := range set.Batches() {
		if err := ctx.Err(); err != nil {
			return Score{}, err
		}
		set.Batch(i, &b)
		program, err := s.Score(batch, b.SeqLen)
		if err != nil {
			return Score{}, err
		}
		program.FeedExamples(examplesOf(&b))
		if err := program.Run(); err != nil {
			return Score{}, err
		}
		sum += program.Loss()
		count += b.N
		logits := program.Logits()
		for row := range b.N {
			if dims.Regression {
				truth, scores = append(truth, b.Scores[row]), append(scores, logits[row])
				continue
			}
			seen[b.Labels[row]][largest(logits[row*dims.Classes:(row+1)*dims.Classes])]++
		}
		if after != nil {
			after(i+1, set.Batches(), sum/float64(count))
		}
	}
	score := Score{Loss: sum / float64(count), Examples: count, Classes: dims.Classes}
	if math.IsNaN(score.Loss) || math.IsInf(score.Loss, 0) {
		return score, fmt.Errorf("train: the loss on the examples is %v", score.Loss)
	}
	if dims.Regression {
		score.Pearson, score.Spearman = pearson(truth, scores), spearman(truth, scores)
		return score, nil
	}
	seen.rate(&score)
	return score, nil
}

// largest is the index of the largest value, the first of several.
func largest(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
