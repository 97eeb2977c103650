package recipe

import (
	"context"
	"slices"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/cubes"
	"sparrow/data/images"
	"sparrow/data/interactions"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
)

// Data is the [data] table of a run: the source and its keys.
type Data struct {
	configs.OneOf[data.Source] `kind:"source" doc:"where the data comes from"`
}

// Sources are the sources that come with the program, in the order in which messages name them.
func Sources() []configs.Choice[data.Source] {
	return append(slices.Concat(text.Sources(), labelled.Sources(), images.Sources(), cubes.Sources(), interactions.Sources()),
		configs.Choice[data.Source]{Name: labelled.Groups{}.Name(), New: func() data.Source { return labelled.DefaultGroups() }},
		configs.Choice[data.Source]{Name: none, New: func() data.Source { return DefaultNone() }})
}

// From is the table of a source.
func From(s data.Source) Data { return Data{configs.OneOf[data.Source]{Name: s.Name(), Of: s}} }

// DefaultData returns the values of keys that a config leaves out.
func DefaultData() Data { return From(text.DefaultGoroot()) }

// Text is the source if it gives text without labels.
func (d Data) Text() (s text.Source, ok bool) {
	s, ok = d.Of.(text.Source)
	return s, ok
}

// Labelled is the source if it gives texts with labels.
func (d Data) Labelled() (s labelled.Source, ok bool) {
	s, ok = d.Of.(labelled.Source)
	return s, ok
}

// Lines is the source, if it gives text without labels, as texts of a line each, cut to [data] seq_len tokens.
func (d Data) Lines() (s labelled.Lines, ok bool) {
	from, ok := d.Text()
	if !ok {
		return s, false
	}
	o := labelled.DefaultOptions()
	o.MaxLen = min(max(from.Text().SeqLen, labelled.MinMaxLen), labelled.MaxMaxLen)
	return labelled.Lines{Options: o, From: from.Name(), Docs: func(ctx context.Context) (train, validation *data.Documents, files int, err error) {
		splits, err := from.Read(ctx)
		if err != nil {
			return nil, nil, 0, err
		}
		return &splits.Train, &splits.Validation, splits.Files, nil
	}}, true
}

// Images is the source if it gives images with labels.
func (d Data) Images() (s images.Source, ok bool) {
	s, ok = d.Of.(images.Source)
	return s, ok
}

// Tokenizer has the keys of the tokenizer of a source of texts, labelled or not, else their defaults.
func (d Data) Tokenizer() (tokenizers.Config, bool) {
	if s, ok := d.Text(); ok {
		return s.Text().Config, true
	}
	if s, ok := d.Labelled(); ok {
		return s.Labelled().Config, true
	}
	if s, ok := d.Of.(labelled.Groups); ok {
		return s.Config, true
	}
	return tokenizers.DefaultConfig(), false
}

// IsNone reports whether there are no data: the model comes from elsewhere.
func (d Data) IsNone() bool {
	_, none := d.Of.(None)
	return none || d.Of == nil
}

// Lengths say how long a text may be that is read by itself: to be labelled, or to become a vector.
func (d Data) Lengths() labelled.Lengths {
	if s, ok := d.Labelled(); ok {
		return s.Labelled().Lengths
	}
	if s, ok := d.Of.(None); ok {
		return s.Lengths
	}
	if s, ok := d.Of.(labelled.Groups); ok {
		return s.Lengths
	}
	return labelled.DefaultOptions().Lengths
}

// Columns are those of another file, which is read as these data are.
func (d Data) Columns() labelled.Table {
	if s, ok := d.Of.(labelled.Table); ok {
		return s
	}
	tsv := labelled.DefaultTable()
	tsv.Lengths = d.Lengths()
	if s, ok := d.Labelled(); ok {
		tsv.Options = s.Labelled()
	}
	return tsv
}

// SeqLen is the length of a training sequence of text without labels; 0: the source gives none.
func (d Data) SeqLen() int {
	if s, ok := d.Text(); ok {
		return s.Text().SeqLen
	}
	if s, ok := d.Of.(None); ok {
		return s.SeqLen
	}
	return 0
}

// Gives says what the source has that a network reads, in words.
func (d Data) Gives() string {
	if _, ok := d.Images(); ok {
		return "labelled images"
	}
	if _, ok := d.Of.(interactions.Source); ok {
		return "interactions of users and items"
	}
	if _, ok := d.Labelled(); ok {
		return "labelled texts"
	}
	if _, ok := d.Of.(labelled.Groups); ok {
		return "queries with candidates"
	}
	if _, ok := d.Text(); ok || d.IsNone() {
		return "text without labels"
	}
	return "data of its own kind"
}

// Kept is what a checkpoint keeps of its [data] table, so that a later one has no say in it.
type Kept struct {
	Tokenizer  string
	VocabSize  int
	Scores     bool // labels are numbers
	Mean, Std  []float64
	Augmenting *images.AugmentConfig
}

// Kept is what a checkpoint of these data keeps.
func (d Data) Kept() (k Kept) {
	c, _ := d.Tokenizer()
	k.Tokenizer, k.VocabSize = c.Tokenizer, c.VocabSize
	if s, ok := d.Labelled(); ok {
		k.Scores = s.Scores()
	}
	if s, ok := d.Images(); ok {
		o := s.Images()
		k.Mean, k.Std, k.Augmenting = o.Mean, o.Std, o.Augment
	}
	return k
}
