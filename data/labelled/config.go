package labelled

import (
	"context"
	"strconv"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Source is a source of labelled texts, as a classifier or a regression reads them.
type Source interface {
	data.Source
	// Labelled are the keys that all sources of labelled texts have.
	Labelled() Options
	// Scores reports whether labels are numbers to predict, not classes.
	Scores() bool
	// Read reads all splits. With labels, those of a checkpoint, classes are known and get their ids; another one is an error.
	Read(ctx context.Context, labels []string) (*Corpus, error)
	// Look finds the files, and the labels.
	Look(ctx context.Context) (data.Survey, error)
}

// Options are the keys of the [data] table that all sources of labelled texts have.
type Options struct {
	tokenizers.Config
	ValidationShare float64 `toml:"validation_share" doc:"share of each class that is held out for validation by a hash of the content, more than 0 and less than 1"`

	Lengths
	MaxExamples int    `toml:"max_examples" doc:"most examples of each file or split, chosen by hashes, so that a small run starts fast; 0: all"`
	Vectors     string `toml:"vectors" doc:"file of pretrained word vectors in GloVe's text format, for the word tokenizer; empty: none"`
}

// Labelled implements Source.
func (o Options) Labelled() Options { return o }

// DefaultOptions returns the values of keys that a config leaves out.
func DefaultOptions() Options {
	return Options{Config: tokenizers.DefaultConfig(), ValidationShare: data.DefaultShare, Lengths: Lengths{MaxLen: 256, Cut: "head"}}
}

// Lengths are the keys of the [data] table that say how long a labelled text may be.
type Lengths struct {
	MaxLen int    `toml:"max_len" doc:"length to which longer texts are cut, with special tokens: 8 to 65536; of a pair the longer text is cut first" unit:"tokens"`
	Cut    string `toml:"cut" doc:"what is kept of a text that is cut: its beginning, or a quarter of the room for its beginning and the rest for its end (Sun et al. 2019)" choices:"head|head_tail"`
}

// IMDB is the source of film reviews, those of a Go module or of a folder.
type IMDB struct {
	Options
	Root string `toml:"root" doc:"folder with the files; empty: they come from the Go module"`
}

// DefaultIMDB returns the values of keys that a config leaves out.
func DefaultIMDB() IMDB { return IMDB{Options: DefaultOptions()} }

// Name implements data.Source.
func (IMDB) Name() string { return "imdb" }

// Scores implements Source.
func (IMDB) Scores() bool { return false }

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s IMDB) Validate(r *configs.Report) { s.check(r) }

// TSV is the source of files of tab-separated values.
type TSV struct {
	Options
	Train       string   `toml:"train" doc:"file of training examples"`
	Validation  string   `toml:"validation" doc:"file of validation examples; empty: a share of train is held out"`
	Test        string   `toml:"test" doc:"file of test examples"`
	TextColumns []string `toml:"text_columns" doc:"one column of text, or two for pairs, by names in the header or numbers from 1"`
	LabelColumn string   `toml:"label_column" doc:"column of the class or the score, by name or by number from 1"`
	Header      bool     `toml:"header" doc:"the first line of a file names the columns"`
	Regression  bool     `toml:"regression" doc:"labels are numbers to predict, not names of classes"`
}

// DefaultTSV returns the values of keys that a config leaves out.
func DefaultTSV() TSV { return TSV{Options: DefaultOptions(), Header: true} }

// Name implements data.Source.
func (TSV) Name() string { return "tsv" }

// Scores implements Source.
func (s TSV) Scores() bool { return s.Regression }

// Sources are those that come with this package.
func Sources() []configs.Choice[data.Source] {
	return []configs.Choice[data.Source]{
		{Name: "imdb", New: func() data.Source { return DefaultIMDB() }},
		{Name: "tsv", New: func() data.Source { return DefaultTSV() }},
	}
}

// MaxMaxLen is the limit of max_len: no text classifier reads more.
const MaxMaxLen = 1 << 16

// MinMaxLen has room for a pair with its special tokens and a few words.
const MinMaxLen = 8

// check reports keys that are wrong whatever the source.
func (o Options) check(r *configs.Report) {
	data.CheckShare(r, o.ValidationShare)
	data.CheckMaxExamples(r, o.MaxExamples)
	if o.Vectors != "" && o.Tokenizer != "word" {
		r.Errorf("vectors", `is for tokenizer = "word", but tokenizer = %q`, o.Tokenizer)
	}
}

// Validate reports every key that is wrong.
func (c Lengths) Validate(r *configs.Report) {
	if c.MaxLen < MinMaxLen || c.MaxLen > MaxMaxLen {
		r.Errorf("max_len", "is out of range; want %d to %d tokens", MinMaxLen, MaxMaxLen)
	}
	r.OneOf("cut")
}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s TSV) Validate(r *configs.Report) {
	s.check(r)
	if s.Train == "" {
		r.Errorf("train", `is empty; source = "tsv" needs a file`)
	}
	if n := len(s.TextColumns); n != 1 && n != 2 {
		r.Errorf("text_columns", "has %d columns; want 1, or 2 for pairs", n)
	}
	if s.LabelColumn == "" {
		r.Errorf("label_column", "is empty; want the column of the classes or scores")
	}
	seen := map[string]bool{}
	for _, column := range append([]string{s.LabelColumn}, s.TextColumns...) {
		key := "text_columns"
		if len(seen) == 0 {
			key = "label_column"
		}
		n, err := strconv.Atoi(column)
		switch {
		case seen[column]:
			r.Errorf(key, "has column %q twice, or it is the label as well", column)
		case column == "" && key == "text_columns":
			r.Errorf(key, "has an empty name")
		case err != nil && !s.Header && column != "":
			r.Errorf(key, "has the name %q, but header = false; want numbers from 1", column)
		case err == nil && n < 1 && !s.Header:
			r.Errorf(key, "has column %d; columns are numbered from 1", n)
		}
		seen[column] = true
	}
}
