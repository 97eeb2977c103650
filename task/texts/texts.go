package texts

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	labelleddata "sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Task is the task of a classifier of texts: the label of each text, or of each pair of texts, or its score.
type Task struct {
	cfg       recipe.Config
	from      labelleddata.Source
	tokenizer tokenizers.Tokenizer // nil: only the data tells it, as labels
	labels    *task.Labels
	data      *labelleddata.Dataset // nil: not read
	lengths   []int                 // to which batches are padded, ascending
}

// Fits says why a config is not for texts with labels: it wants those and a network with a vector for each text, unless that
// vector is what the network is for.
func Fits(c recipe.Config) error {
	if _, reads := c.Model.Of.(model.Reader); reads && task.FitsLines(c, "texts") {
		return nil
	}
	if _, err := task.Fit[model.Reader, labelleddata.Source](c, "texts with labels"); err != nil {
		return err
	}
	if _, embeds := c.Model.Sentences(); embeds && c.TaskKind() == "" {
		return &task.Misfit{Key: task.NetworkKey, Value: c.Model.Name, Message: "has a table [model.sentence]: it gives vectors, not labels"}
	}
	metrics := []string{"loss", "accuracy", "f1", "macro_f1", "matthews"}
	if from, ok := c.Data.Labelled(); ok && from.Scores() {
		metrics = []string{"loss", "pearson", "spearman"}
	}
	return task.Offer{Examples: true, Metrics: metrics}.Check(c)
}

// Open takes tokenizer and labels of a checkpoint, if there is one.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	from, ok := cfg.Data.Labelled()
	if lines, text := cfg.Data.Lines(); text {
		from, ok = lines, true
	}
	if !ok {
		from = cfg.Data.Columns() // no source, as of an imported model: what there is to read comes in files
	}
	l := &Task{cfg: cfg, from: from}
	if files == nil {
		return l, nil
	}
	var err error
	if l.tokenizer, err = task.ReadTokenizer(files); err == nil {
		l.labels, err = task.ReadLabels(files)
	}
	return l, err
}

// Read implements task.Task.
func (l *Task) Read(ctx context.Context) (err error) {
	if l.data != nil {
		return nil
	}
	if l.cfg.Data.IsNone() {
		return task.NoData("columns of texts and labels")
	}
	defer func() {
		if err != nil {
			err = task.Refuse(err)
		}
	}()
	if err := l.checkColumns(); err != nil {
		return err
	}
	var d *labelleddata.Dataset
	if l.labels == nil {
		if _, text := l.cfg.Data.Text(); text {
			return fmt.Errorf("[data] source = %q has no labels; want texts with labels", l.cfg.Data.Name)
		}
		d, err = labelleddata.Open(ctx, l.from)
	} else {
		d, err = labelleddata.OpenWith(ctx, l.from, l.tokenizer, l.labels.Names)
	}
	if err != nil {
		return err
	}
	return l.take(d)
}

// take notes what data that has been read tells.
func (l *Task) take(d *labelleddata.Dataset) error {
	if err := task.CheckMetric(l.cfg.Eval.Metric, len(d.Labels)); err != nil {
		return err
	}
	loader, err := l.loader(d, l.cfg.Train.BatchSize, l.cfg.Seed)
	if err != nil {
		return err
	}
	l.data, l.tokenizer, l.lengths = d, d.Tokenizer, loader.SeqLens()
	sigmoid := l.labels != nil && l.labels.Sigmoid
	l.labels = &task.Labels{Names: d.Labels, Regression: d.Labels == nil, Pairs: d.Pairs, Sigmoid: sigmoid}
	return nil
}

func (l *Task) loader(d *labelleddata.Dataset, rows int, seed uint64) (*labelleddata.Loader, error) {
	return labelleddata.NewLoader(d.Train, labelleddata.LoaderConfig{BatchSize: rows, MaxLen: l.cfg.LabelledContext(), Seed: seed})
}

// checkColumns refuses single texts for a model of pairs, and the reverse.
func (l *Task) checkColumns() error {
	tsv, ok := l.from.(labelleddata.Table)
	n := len(tsv.TextColumns)
	switch {
	case l.labels == nil || !ok || (n == 2) == l.labels.Pairs:
		return nil
	case l.labels.Pairs:
		return fmt.Errorf("[data] text_columns has %d column; the model labels pairs of texts, want 2", n)
	}
	return fmt.Errorf("[data] text_columns has %d columns; the model labels single texts, want 1", n)
}

// Share implements Sharer.
func (l *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok && o.data != nil && task.SameData(l.cfg.Data, o.cfg.Data) {
		l.data, l.tokenizer, l.labels, l.lengths = o.data, o.tokenizer, o.labels, o.lengths
	}
}

// Facts implements task.Task.
func (l *Task) Facts() task.Facts {
	f := task.Facts{Unit: "examples", PerRow: 1, PerBatch: l.cfg.Train.BatchSize, Each: "text"}
	if l.labels != nil {
		f.Files = map[string][]byte{"tokenizer.json": l.tokenizer.Save(), "labels.json": task.JSONFile(l.labels)}
	}
	if l.data != nil {
		f.Line, f.Hash, f.Bytes, f.Rows = l.data.Describe(), l.data.SHA256, l.data.TextBytes(), l.data.Train.Len()
	}
	return f
}

// Dims implements task.Task.
func (l *Task) Dims() (model.Dims, error) {
	if l.labels == nil {
		return model.Dims{}, task.ErrUnread
	}
	return model.Dims{
		VocabSize: l.tokenizer.VocabSize(), Context: l.cfg.LabelledContext(), Classes: len(l.labels.Names), Regression: l.labels.Regression,
	}, nil
}

// Shapes implements task.Stepped.
func (l *Task) Shapes(rows int) []model.Shape {
	var shapes []model.Shape
	for _, n := range slices.Backward(l.lengths) {
		shapes = append(shapes, model.Shape{Rows: rows, Length: n})
	}
	return shapes
}

// Metrics implements task.Task.
func (l *Task) Metrics() []task.Metric { return l.labels.Metrics(false) }

// Longest implements task.Task.
func (l *Task) Longest() (key string, n int) { return "max_len", l.from.Labelled().MaxLen }

// On implements Filer: the file is one of source "tsv", whatever the model was trained on.
func (l *Task) On(file string) recipe.Config {
	tsv := l.cfg.Data.Columns()
	tsv.Train, tsv.Validation, tsv.Test = file, "", ""
	cfg := l.cfg
	cfg.Data = recipe.From(tsv)
	return cfg
}

// Columns implements Filer.
func (l *Task) Columns(cfg recipe.Config) error {
	tsv, ok := cfg.Data.Of.(labelleddata.Table)
	if !ok || len(tsv.TextColumns) > 0 && tsv.LabelColumn != "" {
		return nil
	}
	return task.Refusef("the model was trained on [data] source = %q, which has no columns; name those of texts and labels: --set 'data.text_columns=[\"text\"]' --set data.label_column=label", l.from.Name())
}

// Init implements Initializer: pretrained vectors take the place of the initial values of the words that have one.
func (l *Task) Init(s *model.Session) error {
	v := l.data.Vectors
	if v == nil {
		return nil
	}
	worded, _ := l.cfg.Model.Body().(model.Worded)
	name := worded.WordEmbedding()
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

// Batches implements task.Stepped.
func (l *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	return l.stream(ctx, s, f, &labelleddata.Batch{})
}

// stream is Batches of which each batch is in b until the next.
func (l *Task) stream(ctx context.Context, s *model.Session, f task.Feed, b *labelleddata.Batch) (task.Stream, error) {
	f.Rows = cmp.Or(f.Rows, l.cfg.Train.BatchSize)
	if _, text := l.cfg.Data.Text(); text && f.File == "" {
		if err := task.NoLabels(l.cfg, f, "texts with labels"); err != nil {
			return nil, err
		}
	}
	fed := func() (*model.Program, int, error) {
		p, err := f.Program(s, model.Shape{Rows: f.Rows, Length: b.SeqLen})
		if err != nil {
			return nil, 0, err
		}
		feedExamples(p, b)
		return p, b.N, nil
	}
	lengths := func() []int { return b.Lengths }
	if f.Endless() {
		if err := l.Read(ctx); err != nil {
			return nil, err
		}
		loader, err := l.loader(l.data, f.Rows, f.Seed)
		if err != nil {
			return nil, err
		}
		return &task.Feeder{Order: loader, Rows: lengths, Fill: func(int) (*model.Program, int, error) {
			loader.Next(b)
			return fed()
		}}, f.Prepare(s, l.Shapes(f.Rows))
	}
	x, err := l.part(ctx, f)
	if err != nil {
		return nil, err
	}
	set := labelleddata.EvalBatches(x, f.Rows, contextOf(s), f.Limit)
	if set.Len() == 0 {
		return nil, fmt.Errorf("train: no examples to measure on")
	}
	return &task.Feeder{N: set.Batches(), Rows: lengths, Fill: func(i int) (*model.Program, int, error) {
		set.Batch(i, b)
		return fed()
	}}, nil
}

// part reads the examples of a split, or of a file with the same columns.
func (l *Task) part(ctx context.Context, f task.Feed) (*labelleddata.Examples, error) {
	if f.File == "" {
		if err := l.Read(ctx); err != nil {
			return nil, err
		}
		return task.Part(f.Split, l.data.Train, l.data.Validation, l.data.Test, ", or a file with labels by --file")
	}
	if err := l.checkColumns(); err != nil {
		return nil, task.Refuse(err)
	}
	tsv, ok := l.from.(labelleddata.Table)
	if !ok {
		return nil, task.Refusef("--file %s: [data] source = %q has no columns: want --set data.source=tsv with text_columns and label_column", f.File, l.from.Name())
	}
	x, err := tsv.Examples(ctx, f.File, l.tokenizer, l.labels.Names)
	if err != nil {
		return nil, task.Refuse(err)
	}
	return x, nil
}

// Evaluate implements task.Task.
func (l *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	f := task.Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit}
	if f.Limit == 0 {
		f.Limit = l.cfg.Eval.Examples
	}
	var b labelleddata.Batch
	batches, err := l.stream(ctx, s, f, &b)
	if err != nil {
		return task.Score{}, err
	}
	a := task.NewAnswers(*l.labels)
	loss, n, err := task.Evaluate(ctx, batches, "examples", m, func(p *model.Program, n int) { a.Add(p, n, b.Labels, b.Scores) })
	if n == 0 {
		return task.Score{}, err
	}
	return a.Score(l, loss, n), err
}

// List implements Lister: truth is another column of source "tsv".
func (l *Task) List(ctx context.Context, truth string) ([]task.Listed, error) {
	var names []string
	if l.labels != nil {
		names = l.labels.Names
	}
	list, err := labelleddata.List(ctx, l.from, names, truth)
	if err != nil {
		return nil, task.Refuse(err)
	}
	all := make([]task.Listed, len(list))
	for i, x := range list {
		all[i] = task.Listed{Text: x.Text, Label: x.Label, Truth: x.Truth, Held: x.Held}
	}
	return all, nil
}

// Suggest implements Suggester: the first words of the validation split.
func (l *Task) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	if l.labels.Pairs {
		return task.Suggestion{Command: "predict", From: "pairs.tsv"}, nil
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
	return task.Suggestion{Command: "predict", Args: []string{l.tokenizer.Decode(ids)}}, nil
}
