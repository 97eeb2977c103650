package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	labelleddata "sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
)

// labelled is the task of a classifier of texts: the label of each text, or of each pair of texts, or its score.
type labelled struct {
	cfg       Config
	tokenizer tokenizers.Tokenizer // nil: only the data tells it, as labels
	labels    *Labels
	data      *labelleddata.Dataset // nil: not read
	lengths   []int                 // to which batches are padded, ascending
}

// openLabelled takes tokenizer and labels of a checkpoint, if there is one.
func openLabelled(cfg Config, files Files) (*labelled, error) {
	l := &labelled{cfg: cfg}
	if files == nil {
		return l, nil
	}
	var err error
	if l.tokenizer, err = readTokenizer(files); err == nil {
		l.labels, err = readLabels(files)
	}
	return l, err
}

func (l *labelled) Read(ctx context.Context) (err error) {
	if l.data != nil {
		return nil
	}
	defer func() {
		if err != nil {
			err = Refuse(err)
		}
	}()
	if err := l.checkColumns(); err != nil {
		return err
	}
	var d *labelleddata.Dataset
	if l.labels == nil {
		d, err = labelleddata.Open(ctx, l.cfg.Data.Labelled())
	} else {
		d, err = labelleddata.OpenWith(ctx, l.cfg.Data.Labelled(), l.tokenizer, l.labels.Names)
	}
	if err != nil {
		return err
	}
	return l.take(d)
}

// take notes what data that has been read tells.
func (l *labelled) take(d *labelleddata.Dataset) error {
	if err := checkMetric(l.cfg.Eval.Metric, len(d.Labels)); err != nil {
		return err
	}
	loader, err := l.loader(d, l.cfg.Train.BatchSize, l.cfg.Seed)
	if err != nil {
		return err
	}
	l.data, l.tokenizer, l.lengths = d, d.Tokenizer, loader.SeqLens()
	l.labels = &Labels{Names: d.Labels, Regression: d.Labels == nil, Pairs: d.Pairs}
	return nil
}

func (l *labelled) loader(d *labelleddata.Dataset, rows int, seed uint64) (*labelleddata.Loader, error) {
	return labelleddata.NewLoader(d.Train, labelleddata.LoaderConfig{BatchSize: rows, MaxLen: l.cfg.labelledContext(), Seed: seed})
}

// checkColumns refuses single texts for a model of pairs, and the reverse.
func (l *labelled) checkColumns() error {
	n := len(l.cfg.Data.TextColumns)
	switch {
	case l.labels == nil || l.cfg.Data.Source != "tsv" || (n == 2) == l.labels.Pairs:
		return nil
	case l.labels.Pairs:
		return fmt.Errorf("[data] text_columns has %d column; the model labels pairs of texts, want 2", n)
	}
	return fmt.Errorf("[data] text_columns has %d columns; the model labels single texts, want 1", n)
}

// Share implements Sharer.
func (l *labelled) Share(from Task) {
	if o, ok := from.(*labelled); ok && o.data != nil && sameData(l.cfg.Data, o.cfg.Data) {
		l.data, l.tokenizer, l.labels, l.lengths = o.data, o.tokenizer, o.labels, o.lengths
	}
}

func (l *labelled) Facts() Facts {
	f := Facts{Unit: "examples", PerRow: 1, PerBatch: l.cfg.Train.BatchSize, Each: "text"}
	if l.labels != nil {
		f.Files = map[string][]byte{"tokenizer.json": l.tokenizer.Save(), "labels.json": jsonFile(l.labels)}
	}
	if l.data != nil {
		f.Line, f.Hash, f.Bytes, f.Rows = l.data.Describe(), l.data.SHA256, l.data.TextBytes(), l.data.Train.Len()
	}
	return f
}

func (l *labelled) Dims() (model.Dims, error) {
	if l.labels == nil {
		return model.Dims{}, ErrUnread
	}
	return model.Dims{
		VocabSize: l.tokenizer.VocabSize(), Context: l.cfg.labelledContext(), Classes: len(l.labels.Names), Regression: l.labels.Regression,
	}, nil
}

func (l *labelled) Shapes(rows int) []model.Shape {
	var shapes []model.Shape
	for _, n := range slices.Backward(l.lengths) {
		shapes = append(shapes, model.Shape{Rows: rows, Length: n})
	}
	return shapes
}

func (l *labelled) Metrics() []Metric { return l.labels.metrics(false) }

func (l *labelled) Longest() (key string, n int) { return "max_len", l.cfg.Data.MaxLen }

// On implements Filer: the file is one of source "tsv", whatever the model was trained on.
func (l *labelled) On(file string) Config {
	cfg := l.cfg
	cfg.Data.Source, cfg.Data.Train, cfg.Data.Validation, cfg.Data.Test, cfg.Data.Root = "tsv", file, "", "", ""
	return cfg
}

// Columns implements Filer.
func (l *labelled) Columns(cfg Config) error {
	if cfg.Data.Source != "tsv" || len(cfg.Data.TextColumns) > 0 && cfg.Data.LabelColumn != "" {
		return nil
	}
	return Refusef("the model was trained on [data] source = %q, which has no columns; name those of texts and labels: --set 'data.text_columns=[\"text\"]' --set data.label_column=label", l.cfg.Data.Source)
}

// Init implements Initializer: pretrained vectors take the place of the initial values of the words that have one.
func (l *labelled) Init(s *model.Session) error {
	v := l.data.Vectors
	if v == nil {
		return nil
	}
	name := l.cfg.Model.WordEmbedding()
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

// feedExamples gives a batch to a program.
func feedExamples(p *model.Program, b *labelleddata.Batch) {
	p.Feed(map[string][]int{"tokens": b.Tokens, "types": b.Types, "lengths": b.Lengths, "targets": b.Labels})
	if !p.Has("truth") {
		return
	}
	for i, score := range b.Scores {
		p.Floats("truth").Put(i, 0, score)
	}
}

// contextOf is the longest text that a classifier reads, in tokens.
func contextOf(s *model.Session) int {
	n := s.Network()
	if d, ok := n.(model.Distilled); ok {
		n = d.Network
	}
	return n.(model.Labels).Text.Length
}

func (l *labelled) Batches(ctx context.Context, s *model.Session, f Feed) (Stream, error) {
	return l.stream(ctx, s, f, &labelleddata.Batch{})
}

// stream is Batches of which each batch is in b until the next.
func (l *labelled) stream(ctx context.Context, s *model.Session, f Feed, b *labelleddata.Batch) (Stream, error) {
	f.Rows = cmp.Or(f.Rows, l.cfg.Train.BatchSize)
	fed := func() (*model.Program, int, error) {
		p, err := f.program(s, model.Shape{Rows: f.Rows, Length: b.SeqLen})
		if err != nil {
			return nil, 0, err
		}
		feedExamples(p, b)
		return p, b.N, nil
	}
	lengths := func() []int { return b.Lengths }
	if f.endless() {
		if err := l.Read(ctx); err != nil {
			return nil, err
		}
		loader, err := l.loader(l.data, f.Rows, f.Seed)
		if err != nil {
			return nil, err
		}
		return &stream{order: loader, lengths: lengths, fill: func(int) (*model.Program, int, error) {
			loader.Next(b)
			return fed()
		}}, f.prepare(s, l.Shapes(f.Rows))
	}
	x, err := l.part(ctx, f)
	if err != nil {
		return nil, err
	}
	set := labelleddata.EvalBatches(x, f.Rows, contextOf(s), f.Limit)
	if set.Len() == 0 {
		return nil, fmt.Errorf("train: no examples to measure on")
	}
	return &stream{batches: set.Batches(), lengths: lengths, fill: func(i int) (*model.Program, int, error) {
		set.Batch(i, b)
		return fed()
	}}, nil
}

// part reads the examples of a split, or of a file with the same columns.
func (l *labelled) part(ctx context.Context, f Feed) (*labelleddata.Examples, error) {
	if f.File == "" {
		if err := l.Read(ctx); err != nil {
			return nil, err
		}
		return chosen(f.Split, l.data.Train, l.data.Validation, l.data.Test, ", or a file with labels by --file")
	}
	if err := l.checkColumns(); err != nil {
		return nil, Refuse(err)
	}
	if l.cfg.Data.Source != "tsv" {
		return nil, Refusef("--file %s: [data] source = %q has no columns: want --set data.source=tsv with text_columns and label_column", f.File, l.cfg.Data.Source)
	}
	x, err := labelleddata.ReadExamples(ctx, l.cfg.Data.Labelled(), f.File, l.tokenizer, l.labels.Names)
	if err != nil {
		return nil, Refuse(err)
	}
	return x, nil
}

// chosen is a split; test is nil if the data has none. or is what else helps then.
func chosen[T any](s Split, train, validation, test *T, or string) (*T, error) {
	all := map[Split]*T{Training: train, Validation: validation, Test: test}
	if all[s] == nil {
		return nil, Refusef("--split %s: [data] has no %s split; want --split validation%s", s, s, or)
	}
	return all[s], nil
}

func (l *labelled) Evaluate(ctx context.Context, s *model.Session, m Measure) (Score, error) {
	f := Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit}
	if f.Limit == 0 {
		f.Limit = l.cfg.Eval.Examples
	}
	var b labelleddata.Batch
	batches, err := l.stream(ctx, s, f, &b)
	if err != nil {
		return Score{}, err
	}
	a := newAnswers(*l.labels)
	loss, n, err := evaluate(ctx, batches, "examples", m, func(p *model.Program, n int) { a.add(p, n, b.Labels, b.Scores) })
	if n == 0 {
		return Score{}, err
	}
	return a.score(l, loss, n), err
}

// Suggest implements Suggester: the first words of the validation split.
func (l *labelled) Suggest(context.Context, *model.Session) (Suggestion, error) {
	if l.labels.Pairs {
		return Suggestion{Command: "predict", From: "pairs.tsv"}, nil
	}
	const most = 8
	x := l.data.Validation.At(0)
	var ids []int
	specials := tokenizers.Specials(l.tokenizer)
	for i, id := range x.Tokens {
		if len(ids) < most && x.Types[i] == 0 && id != specials.Start && id != specials.Separator && id != specials.Unknown {
			ids = append(ids, id)
		}
	}
	return Suggestion{Command: "predict", Args: []string{l.tokenizer.Decode(ids)}}, nil
}
