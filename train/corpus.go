package train

import (
	"cmp"
	"context"
	"fmt"

	"sparrow/data"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/recipe"
)

// corpus is a text without labels, as language and masked read it in windows of [data] seq_len tokens.
type corpus struct {
	cfg       Config
	tokenizer tokenizers.Tokenizer // nil: only the text tells it
	text      *text.Dataset        // nil: not read
	survey    *recipe.Survey       // nil: not looked at
}

// openCorpus takes the tokenizer of a checkpoint, if there is one.
func openCorpus(cfg Config, files Files) (corpus, error) {
	c := corpus{cfg: cfg}
	var err error
	if files != nil {
		c.tokenizer, err = readTokenizer(files)
	}
	return c, err
}

// readTokenizer reads a checkpoint's tokenizer.json.
func readTokenizer(files Files) (tokenizers.Tokenizer, error) {
	text, err := files.File("tokenizer.json")
	if err != nil {
		return nil, err
	}
	tokenizer, err := tokenizers.Load(text)
	if err != nil {
		return nil, fmt.Errorf("train: %s/tokenizer.json: %w", files.Dir(), err)
	}
	return tokenizer, nil
}

func (c *corpus) Read(ctx context.Context) error {
	if c.text != nil {
		return nil
	}
	var read *text.Dataset
	var err error
	if c.tokenizer == nil {
		read, err = text.Open(ctx, c.cfg.Data.Text())
	} else {
		read, err = text.OpenWith(ctx, c.cfg.Data.Text(), c.tokenizer)
	}
	if err != nil {
		return Refuse(err)
	}
	c.text, c.tokenizer = read, read.Tokenizer
	return nil
}

// Survey implements Surveyor: all but the hash is known then, and of a tokenizer that is made from the text only its size.
func (c *corpus) Survey(ctx context.Context) (err error) {
	if c.survey, err = recipe.Look(ctx, c.cfg.Data); err == nil && c.tokenizer == nil {
		c.tokenizer = c.survey.Tokenizer
	}
	return err
}

// share takes over the text of another corpus.
func (c *corpus) share(from *corpus) {
	if from.text != nil && sameData(c.cfg.Data, from.cfg.Data) {
		c.text, c.tokenizer = from.text, from.tokenizer
	}
}

func (c *corpus) Facts() Facts {
	f := Facts{Unit: "tokens", PerRow: c.cfg.Data.SeqLen, PerBatch: c.cfg.Train.BatchSize * c.cfg.Data.SeqLen, Each: "text"}
	if c.tokenizer != nil {
		f.Files = map[string][]byte{"tokenizer.json": c.tokenizer.Save()}
	}
	switch {
	case c.text != nil:
		f.Line, f.Hash, f.Bytes, f.Rows = c.text.Describe(), c.text.SHA256, c.text.TextBytes(), (c.text.Train.Len()-1)/c.cfg.Data.SeqLen
	case c.survey != nil:
		f.Line, f.Bytes = c.survey.Describe(), int(c.survey.Bytes)
	}
	return f
}

func (c *corpus) Dims() (model.Dims, error) {
	switch {
	case c.tokenizer != nil:
		return c.cfg.dims(c.tokenizer.VocabSize()), nil
	case c.survey != nil && c.survey.VocabSize > 0:
		return c.cfg.dims(c.survey.VocabSize), nil
	}
	return model.Dims{}, ErrUnread
}

func (c *corpus) Shapes(rows int) []model.Shape {
	return []model.Shape{{Rows: rows, Length: c.cfg.Data.SeqLen}}
}

// perplexity is the measure of tokens.
var perplexity = []Metric{{Name: "loss", Falling: true, Unit: "nats a token", Digits: 4}, {Name: "perplexity", Falling: true, Digits: 2}}

func (c *corpus) Metrics() []Metric { return perplexity }

func (c *corpus) Longest() (key string, n int) { return "seq_len", c.cfg.Data.SeqLen }

// windows are the windows of a batch.
type windows struct {
	inputs, targets []int       // [rows*SeqLen]
	at              data.Cursor // of the first
	order           bool        // of the text; else shuffled
}

// stream feeds windows, which feed hands to the program and counts the targets of.
func (c *corpus) stream(ctx context.Context, s *model.Session, f Feed, feed func(p *model.Program, w *windows) int) (Stream, error) {
	if f.File != "" {
		return nil, Refusef("--file %s: a language model is measured on text: want --set data.source=text --set data.paths=[...]", f.File)
	}
	if f.Split == Test {
		return nil, Refusef("--split %s: a text corpus has the split validation only", f.Split)
	}
	if err := c.Read(ctx); err != nil {
		return nil, err
	}
	n := c.cfg.Data.SeqLen
	f.Rows = cmp.Or(f.Rows, c.cfg.Train.BatchSize)
	shape := model.Shape{Rows: f.Rows, Length: n}
	w := &windows{inputs: make([]int, f.Rows*n), targets: make([]int, f.Rows*n), order: !f.endless()}
	if err := f.prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	fed := func() (*model.Program, int, error) {
		p, err := f.program(s, shape)
		if err != nil {
			return nil, 0, err
		}
		return p, feed(p, w), nil
	}
	if f.endless() {
		loader, err := text.NewLoader(c.text.Train, text.LoaderConfig{SeqLen: n, BatchSize: f.Rows, Seed: f.Seed})
		if err != nil {
			return nil, err
		}
		return &stream{order: loader, fill: func(int) (*model.Program, int, error) {
			w.at = loader.Cursor()
			loader.Next(w.inputs, w.targets)
			return fed()
		}}, nil
	}
	tokens := c.text.Validation
	if f.Split == Training {
		tokens = c.text.Train
	}
	set, err := text.EvalBatches(tokens, n, f.Rows, f.Limit)
	if err != nil {
		return nil, err
	}
	return &stream{batches: set.Batches(), fill: func(batch int) (*model.Program, int, error) {
		w.at = data.Cursor{Position: batch * f.Rows}
		set.Batch(batch, w.inputs, w.targets)
		return fed()
	}}, nil
}

// feed says what an evaluation is of.
func (c *corpus) feed(m Measure) Feed {
	f := Feed{Mode: model.Score, Split: m.Split, File: m.File, Limit: m.Limit}
	if f.Limit == 0 {
		f.Limit = c.cfg.Eval.Tokens
	}
	return f
}
