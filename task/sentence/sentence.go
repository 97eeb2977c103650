package sentence

import (
	"cmp"
	"context"
	"math"

	"sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Task is the task of a sentence encoder. It trains on pairs of texts with scores: the loss is the squared difference between the
// cosine of the two vectors and the score, divided by that of texts which mean the same (Reimers and Gurevych 2019, the
// regression objective; CosineSimilarityLoss of sentence-transformers).
type Task struct {
	cfg       recipe.Config
	how       model.Sentences      // makes one vector of a text
	tokenizer tokenizers.Tokenizer // nil: only the data tells it
	files     task.Files
	data      *labelled.Dataset // nil: not read
	lengths   []int             // to which batches are padded, ascending
}

// Fits says why a config is not one of a sentence encoder.
func Fits(c recipe.Config) error {
	_, steps := c.Model.Of.(model.Sequence)
	_, embeds := c.Model.Sentences()
	if steps && embeds && task.FitsLines(c, "sentence") {
		return nil
	}
	if _, err := task.Fit[model.Sequence, labelled.Source](c, "pairs of texts with scores"); err != nil {
		return err
	}
	if !embeds {
		return &task.Misfit{Key: task.NetworkKey, Value: c.Model.Name, Message: "has no table [model.sentence], which says how to make one vector of a text"}
	}
	return task.Offer{Examples: true, Metrics: []string{"loss", "pearson", "spearman"}}.Check(c)
}

// Open takes the tokenizer of a checkpoint, if there is one.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	t := &Task{cfg: cfg, files: files}
	t.how, _ = cfg.Model.Sentences()
	var err error
	if files != nil {
		t.tokenizer, err = task.ReadTokenizer(files)
	}
	return t, err
}

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	f := task.Facts{Unit: "examples", PerRow: 1, PerBatch: t.cfg.Train.BatchSize, Each: "pair"}
	if t.texts() == 1 {
		f.Each = "text"
	}
	if t.tokenizer != nil {
		f.Files = task.Kept(t.files, map[string][]byte{"tokenizer.json": t.tokenizer.Save()})
	}
	if t.data != nil {
		f.Line, f.Hash, f.Bytes, f.Rows = t.data.Describe(), t.data.SHA256, t.data.TextBytes(), t.data.Train.Len()
	}
	return f
}

// Read implements task.Task.
func (t *Task) Read(ctx context.Context) error {
	if t.data != nil {
		return nil
	}
	if t.cfg.Data.IsNone() {
		return task.NoData("pairs of texts and their scores")
	}
	if err := t.Columns(t.cfg); err != nil {
		return err
	}
	read := labelled.OpenPairs
	from := t.source()
	if lines, text := t.cfg.Data.Lines(); text {
		lines.MaxLen = min(lines.MaxLen, t.longest())
		from, read = lines, func(ctx context.Context, from labelled.Source, tokenizer tokenizers.Tokenizer) (*labelled.Dataset, error) {
			return labelled.OpenWith(ctx, from, tokenizer, nil)
		}
	}
	d, err := read(ctx, from, t.tokenizer)
	if err != nil {
		return task.Refuse(err)
	}
	loader, err := t.loader(d, t.cfg.Train.BatchSize, t.cfg.Seed)
	if err != nil {
		return task.Refuse(err)
	}
	t.data, t.tokenizer, t.lengths = d, d.Tokenizer, loader.SeqLens()
	return nil
}

// source is that of the config, whose labels are scores and whose texts are no longer than the vectors' may be.
func (t *Task) source() labelled.Source {
	d := t.cfg.Data
	if s, ok := d.Of.(labelled.Table); ok {
		d.Of = t.columns(s)
	}
	s, _ := d.Labelled()
	return s
}

func (t *Task) columns(s labelled.Table) labelled.Table {
	s.Regression, s.MaxLen = true, min(s.MaxLen, t.longest())
	return s
}

func (t *Task) loader(d *labelled.Dataset, rows int, seed uint64) (*labelled.Loader, error) {
	return labelled.NewLoader(d.Train, labelled.LoaderConfig{BatchSize: rows, MaxLen: t.longest(), Seed: seed})
}

// Share implements task.Sharer.
func (t *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok && o.data != nil && task.SameData(t.cfg.Data, o.cfg.Data) {
		t.data, t.tokenizer, t.lengths = o.data, o.tokenizer, o.lengths
	}
}

// Dims implements task.Task.
func (t *Task) Dims() (model.Dims, error) {
	if t.tokenizer == nil {
		return model.Dims{}, task.ErrUnread
	}
	return model.Dims{VocabSize: t.tokenizer.VocabSize(), Context: t.cfg.LabelledContext()}, nil
}

// texts are those of a row of the data: the two of a pair, or one where there are no pairs.
func (t *Task) texts() int {
	if _, text := t.cfg.Data.Text(); text {
		return 1
	}
	return 2
}

// Shapes implements task.Stepped: a pair has two rows.
func (t *Task) Shapes(rows int) []model.Shape {
	var shapes []model.Shape
	for i := len(t.lengths) - 1; i >= 0; i-- {
		shapes = append(shapes, model.Shape{Rows: t.texts() * rows, Length: t.lengths[i]})
	}
	return shapes
}

// Metrics implements task.Task: the loss, and those of STS (Cer et al. 2017), over cosines.
func (t *Task) Metrics() []task.Metric {
	return []task.Metric{{Name: "loss", Falling: true, Means: "squared error of the cosine", Digits: 4}, {Name: "spearman", Digits: 4}, {Name: "pearson", Digits: 4}}
}

// Longest implements task.Task.
func (t *Task) Longest() (key string, n int) { return "max_len", t.longest() }

// longest is how many tokens of a text are read.
func (t *Task) longest() int {
	return cmp.Or(t.how.Longest, t.cfg.LabelledContext())
}

// On implements task.Filer: the file is one of source "tsv", of pairs with scores.
func (t *Task) On(file string) recipe.Config {
	cfg, tsv := t.cfg, t.cfg.Data.Columns()
	tsv.Train, tsv.Validation, tsv.Test = file, "", ""
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

// full is the score of two texts that mean the same: by the config, or the largest of examples, if that is not within cosines.
func (t *Task) full(x *labelled.Examples) float64 {
	if s := t.how.MaxScore; s > 0 {
		return s
	}
	most := 1.0
	if t.texts() == 1 {
		return most
	}
	for i := range x.Len() {
		most = max(most, math.Abs(x.Score(i)))
	}
	return most
}

// Suggest implements task.Suggester: a text of the validation split.
func (t *Task) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	const most = 8
	specials := tokenizers.Specials(t.tokenizer)
	var ids []int
	for _, id := range t.data.Validation.Texts(0)[0] {
		if len(ids) < most && id != specials.Start && id != specials.Separator && id != specials.Unknown {
			ids = append(ids, id)
		}
	}
	return task.Suggestion{Command: "embed", Args: []string{t.tokenizer.Decode(ids)}}, nil
}
