package labelled

import (
	"slices"
	"strconv"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Config says which labelled texts a classifier or a regression reads, and how.
type Config struct {
	Source string `toml:"source" doc:"where the data comes from" choices:"imdb|tsv"`

	tokenizers.Config
	ValidationShare float64 `toml:"validation_share" doc:"share that is held out for validation, more than 0 and less than 1: whole packages of goroot, the end of each text file, of labelled data the same share of each class, by a hash of the content"`

	Lengths
	MaxExamples int    `toml:"max_examples" doc:"most examples of each file or split, chosen by hashes, so that a small run starts fast; 0: all"`
	Root        string `toml:"root" doc:"folder of the images, or one with the files of imdb or mnist; empty: they come from the Go module"`

	TSV
	Vectors string `toml:"vectors" doc:"file of pretrained word vectors in GloVe's text format, for the word tokenizer; empty: none"`
}

// Lengths are the keys of the [data] table that say how long a labelled text may be.
type Lengths struct {
	MaxLen int    `toml:"max_len" doc:"length to which longer texts are cut, with special tokens: 8 to 65536; of a pair the longer text is cut first" unit:"tokens"`
	Cut    string `toml:"cut" doc:"what is kept of a text that is cut: its beginning, or a quarter of the room for its beginning and the rest for its end (Sun et al. 2019)" choices:"head|head_tail"`
}

// TSV has the keys of the [data] table that are for source "tsv".
type TSV struct {
	Train       string   `toml:"train" doc:"file of training examples"`
	Validation  string   `toml:"validation" doc:"file of validation examples; empty: a share of train is held out"`
	Test        string   `toml:"test" doc:"file of test examples"`
	TextColumns []string `toml:"text_columns" doc:"one column of text, or two for pairs, by names in the header or numbers from 1"`
	LabelColumn string   `toml:"label_column" doc:"column of the class or the score, by name or by number from 1"`
	Header      bool     `toml:"header" doc:"the first line of a file names the columns"`
	Regression  bool     `toml:"regression" doc:"labels are numbers to predict, not names of classes"`
}

// Limits of max_len: a pair with its special tokens and a few words below; above, no text classifier reads more.
const (
	minMaxLen = 8
	maxMaxLen = 1 << 16
)

// Sources lists the values of Source for messages; readLabelled has the switch.
var Sources = []string{"imdb", "tsv"}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{Source: "imdb", Config: tokenizers.DefaultConfig(), ValidationShare: data.DefaultShare, Lengths: DefaultLengths(), TSV: DefaultTSV()}
}

// DefaultLengths returns the values of keys that a config leaves out.
func DefaultLengths() Lengths { return Lengths{MaxLen: 256, Cut: "head"} }

// DefaultTSV returns the values of keys that a config leaves out.
func DefaultTSV() TSV { return TSV{Header: true} }

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (c Config) Validate(r *configs.Report) {
	if !slices.Contains(Sources, c.Source) {
		r.Errorf("source", `has no labels; want "imdb" or "tsv"`)
	}
	data.CheckShare(r, c.ValidationShare)
	data.CheckMaxExamples(r, c.MaxExamples)
	if c.Vectors != "" && c.Tokenizer != "word" {
		r.Errorf("vectors", `is for tokenizer = "word", but tokenizer = %q`, c.Tokenizer)
	}
	if c.Root != "" && c.Source == "tsv" {
		r.Errorf("root", `is for sources "imdb", "mnist" and "image_folder", but source = %q`, c.Source)
	}
	if c.Source == "tsv" {
		c.TSV.check(r)
	}
}

// Validate reports every key that is wrong.
func (c Lengths) Validate(r *configs.Report) {
	if c.MaxLen < minMaxLen || c.MaxLen > maxMaxLen {
		r.Errorf("max_len", "is out of range; want %d to %d tokens", minMaxLen, maxMaxLen)
	}
	if c.Cut != "head" && c.Cut != "head_tail" {
		r.Errorf("cut", `is unknown; want one of "head", "head_tail"`)
	}
}

// check reports what source "tsv" lacks or cannot be.
func (t TSV) check(r *configs.Report) {
	if t.Train == "" {
		r.Errorf("train", `is empty; source = "tsv" needs a file`)
	}
	if n := len(t.TextColumns); n != 1 && n != 2 {
		r.Errorf("text_columns", "has %d columns; want 1, or 2 for pairs", n)
	}
	if t.LabelColumn == "" {
		r.Errorf("label_column", "is empty; want the column of the classes or scores")
	}
	seen := map[string]bool{}
	for _, column := range append([]string{t.LabelColumn}, t.TextColumns...) {
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
		case err != nil && !t.Header && column != "":
			r.Errorf(key, "has the name %q, but header = false; want numbers from 1", column)
		case err == nil && n < 1 && !t.Header:
			r.Errorf(key, "has column %d; columns are numbered from 1", n)
		}
		seen[column] = true
	}
}

// check is validation for callers that did not come through a config file.
func (c *Config) check() error { return configs.Validate("data: config", c) }
