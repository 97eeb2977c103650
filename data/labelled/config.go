package labelled

import (
	"cmp"
	"context"

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
	ValidationShare float64 `toml:"validation_share" also:"val_split|validation_split|test_size" doc:"share of each class that is held out for validation by a hash of the content, more than 0 and less than 1"`

	Lengths
	MaxExamples int    `toml:"max_examples" also:"max_samples|limit" doc:"most examples of each file or split, chosen by hashes, so that a small run starts fast; 0: all"`
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
	MaxLen int    `toml:"max_len" also:"seq_len|max_length|max_seq_length|max_seq_len|sequence_length" doc:"length to which longer texts are cut, with special tokens: 8 to 65536; of a pair the longer text is cut first" unit:"tokens"`
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

// Table is the source of files with an example a row: of tab-separated values, of CSV or of JSON lines, by their extension, each also
// packed by gzip.
type Table struct {
	Options
	name        string   // in configs; "": table
	Train       string   `toml:"train" also:"train_file|file|path|paths" doc:"file of training examples: .csv, .jsonl, or tab-separated values whatever the extension; .gz behind it: packed by gzip"`
	Validation  string   `toml:"validation" also:"validation_file|dev|valid|val|eval_file" doc:"file of validation examples; empty: a share of train is held out"`
	Test        string   `toml:"test" doc:"file of test examples"`
	TextColumns []string `toml:"text_columns" also:"text_column|text|text_field" doc:"one column of text, or two for pairs, by names in the header or numbers from 1"`
	LabelColumn string   `toml:"label_column" also:"label|labels|label_field|target" doc:"column of the class or the score, by name or by number from 1"`
	Header      bool     `toml:"header" doc:"the first line of a file names the columns; of JSON lines the keys do in any case"`
	Regression  bool     `toml:"regression" doc:"labels are numbers to predict, not names of classes"`
	SplitBy     *string  `toml:"split_by" doc:"column, such as a person or a document, whose examples all come to training or all to validation where a share of train is held out; left out: each example by itself"`
}

// DefaultTable returns the values of keys that a config leaves out.
func DefaultTable() Table { return Table{Options: DefaultOptions(), Header: true} }

// Name implements data.Source.
func (s Table) Name() string { return cmp.Or(s.name, "table") }

// Scores implements Source.
func (s Table) Scores() bool { return s.Regression }

// HoldsOut tells whether a share of train is held out for validation.
func (s Table) HoldsOut() bool { return s.Validation == "" }

// Sources are those that come with this package; tsv is an earlier name of table.
func Sources() []configs.Choice[data.Source] {
	return []configs.Choice[data.Source]{
		{Name: "imdb", New: func() data.Source { return DefaultIMDB() }},
		{Name: "table", New: func() data.Source { return DefaultTable() }},
		{Name: "tsv", New: func() data.Source { s := DefaultTable(); s.name = "tsv"; return s }},
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

// Start implements configs.Starter.
func (IMDB) Start() []string {
	return []string{"data.max_len=256", "train.epochs=3", "eval.metric=accuracy"}
}

// Start implements configs.Starter.
func (Table) Start() []string {
	return []string{"data.train=my-examples.csv", `data.text_columns=["text"]`, "data.label_column=label", "data.max_len=128", "train.epochs=3", "eval.metric=accuracy"}
}
