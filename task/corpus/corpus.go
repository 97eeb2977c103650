package corpus

import (
	"cmp"
	"context"

	"sparrow/data"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Corpus is a text without labels, as language and masked read it in windows of [data] seq_len tokens.
type Corpus struct {
	Config recipe.Config
	Tokens tokenizers.Tokenizer // nil: only the text tells it
	Text   *text.Dataset        // nil: not read
	survey *recipe.Survey       // nil: not looked at
	files  task.Files           // of a checkpoint; nil: none
}

// Open takes the tokenizer of a checkpoint, if there is one.
func Open(cfg recipe.Config, files task.Files) (Corpus, error) {
	c := Corpus{Config: cfg, files: files}
	var err error
	if files != nil {
		c.Tokens, err = task.ReadTokenizer(files)
	}
	return c, err
}

// Read implements task.Task.
func (c *Corpus) Read(ctx context.Context) error {
	if c.Text != nil {
		return nil
	}
	if c.Config.Data.IsNone() {
		return task.NoData("text")
	}
	from, _ := c.Config.Data.Text()
	read, err := text.OpenWith(ctx, from, c.Tokens)
	if err != nil {
		return task.Refuse(err)
	}
	c.Text, c.Tokens = read, read.Tokenizer
	return nil
}

// Survey implements Surveyor: all but the hash is known then, and of a tokenizer that is made from the text only its size.
func (c *Corpus) Survey(ctx context.Context) (err error) {
	if c.survey, err = recipe.Look(ctx, c.Config.Data); err == nil && c.Tokens == nil {
		c.Tokens = c.survey.Tokenizer
	}
	return err
}

// TakeOver takes over the text of another corpus.
func (c *Corpus) TakeOver(from *Corpus) {
	if from.Text != nil && task.SameData(c.Config.Data, from.Config.Data) {
		c.Text, c.Tokens = from.Text, from.Tokens
	}
}

// Facts implements task.Task.
func (c *Corpus) Facts() task.Facts {
	f := task.Facts{Unit: "tokens", PerRow: c.Config.Data.SeqLen(), PerBatch: c.Config.Train.BatchSize * c.Config.Data.SeqLen(), Each: "text"}
	if c.Tokens != nil {
		f.Files = task.Kept(c.files, map[string][]byte{"tokenizer.json": c.Tokens.Save()})
	}
	switch {
	case c.Text != nil:
		f.Line, f.Hash, f.Bytes, f.Rows = c.Text.Describe(), c.Text.SHA256, c.Text.TextBytes(), (c.Text.Train.Len()-1)/c.Config.Data.SeqLen()
	case c.survey != nil:
		f.Line, f.Bytes = c.survey.Describe(), int(c.survey.Bytes)
	}
	return f
}

// Dims implements task.Task.
func (c *Corpus) Dims() (model.Dims, error) {
	switch {
	case c.Tokens != nil:
		return c.Config.Dims(c.Tokens.VocabSize()), nil
	case c.survey != nil && c.survey.VocabSize > 0:
		return c.Config.Dims(c.survey.VocabSize), nil
	}
	return model.Dims{}, task.ErrUnread
}

// Shapes implements task.Stepped.
func (c *Corpus) Shapes(rows int) []model.Shape {
	return []model.Shape{{Rows: rows, Length: c.Config.Data.SeqLen()}}
}

// perplexity is the measure of tokens.
var perplexity = []task.Metric{{Name: "loss", Falling: true, Unit: "nats a token", Digits: 4}, {Name: "perplexity", Falling: true, Digits: 2}}

// Measured are the metrics that a config may choose.
var Measured = []string{"loss", "perplexity"}

// Metrics implements task.Task.
func (c *Corpus) Metrics() []task.Metric { return perplexity }

// Longest implements task.Task.
func (c *Corpus) Longest() (key string, n int) { return "seq_len", c.Config.Data.SeqLen() }

// Windows are the windows of a batch.
type Windows struct {
	Inputs, Targets []int       // [rows*SeqLen]
	At              data.Cursor // of the first
	Order           bool        // of the text; else shuffled
}

// Stream feeds windows, which feed hands to the program and counts the targets of.
func (c *Corpus) Stream(ctx context.Context, s *model.Session, f task.Feed, feed func(p *model.Program, w *Windows) int) (task.Stream, error) {
	if f.File != "" {
		return c.file(s, f, feed)
	}
	if f.Split == task.Test {
		return nil, task.Refusef("--split %s: a text corpus has the split validation only", f.Split)
	}
	if err := c.Read(ctx); err != nil {
		return nil, err
	}
	n := c.Config.Data.SeqLen()
	f.Rows = cmp.Or(f.Rows, c.Config.Train.BatchSize)
	shape := model.Shape{Rows: f.Rows, Length: n}
	w := &Windows{Inputs: make([]int, f.Rows*n), Targets: make([]int, f.Rows*n), Order: !f.Endless()}
	if err := f.Prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	fed := func() (*model.Program, int, error) {
		p, err := f.Program(s, shape)
		if err != nil {
			return nil, 0, err
		}
		return p, feed(p, w), nil
	}
	if f.Endless() {
		loader, err := text.NewLoader(c.Text.Train, text.LoaderConfig{SeqLen: n, BatchSize: f.Rows, Seed: f.Seed})
		if err != nil {
			return nil, err
		}
		return &task.Feeder{Order: loader, Fill: func(int) (*model.Program, int, error) {
			w.At = loader.Cursor()
			loader.Next(w.Inputs, w.Targets)
			return fed()
		}}, nil
	}
	tokens := c.Text.Validation
	if f.Split == task.Training {
		tokens = c.Text.Train
	}
	set, err := text.EvalBatches(tokens, n, f.Rows, f.Limit)
	if err != nil {
		return nil, err
	}
	return &task.Feeder{N: set.Batches(), Fill: func(batch int) (*model.Program, int, error) {
		w.At = data.Cursor{Position: batch * f.Rows}
		set.Batch(batch, w.Inputs, w.Targets)
		return fed()
	}}, nil
}

// Feed says what an evaluation is of.
func (c *Corpus) Feed(m task.Measure) task.Feed {
	f := task.Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit, Stride: m.Stride}
	if f.Limit == 0 {
		f.Limit = c.Config.Eval.Tokens
	}
	return f
}
