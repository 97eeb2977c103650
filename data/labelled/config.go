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
	// Source is "imdb" (film reviews, from a Go module) or "tsv" (the files Train, Validation and Test).
	Source string `toml:"source"`

	tokenizers.Config

	// ValidationShare is the share of the examples held out for validation, in (0, 1): of each class, chosen by the hash of
	// the text, so that equal texts stay together.
	ValidationShare float64 `toml:"validation_share"`

	Lengths

	// MaxExamples caps the examples of each file or split, so that a small run starts fast; 0 takes all. The choice is by
	// hashes of names (imdb) or contents (tsv), so it is equal each time.
	MaxExamples int `toml:"max_examples"`

	// Root is a folder with the files of "imdb"; empty means that they come from the Go module.
	Root string `toml:"root"`

	TSV

	// Vectors is a file of pretrained word vectors in GloVe's text format, for tokenizer "word"; empty: none.
	Vectors string `toml:"vectors"`
}

// Lengths are the keys of the [data] table that say how long a labelled text may be.
type Lengths struct {
	// MaxLen is the length, in tokens with special ones, to which longer examples are cut: 8 to 65536. Of a pair the longer
	// text is cut first.
	MaxLen int `toml:"max_len"`

	// Cut says what is kept of a text that is cut: "head", its beginning, or "head_tail", a quarter of the room for its
	// beginning and the rest for its end (Sun et al., "How to Fine-Tune BERT for Text Classification?", 2019, section 5.3.1).
	Cut string `toml:"cut"`
}

// TSV has the keys of the [data] table that are for source "tsv".
type TSV struct {
	// Train, Validation and Test are the files of source "tsv". Without Validation, a share of Train is held out.
	Train      string `toml:"train"`
	Validation string `toml:"validation"`
	Test       string `toml:"test"`

	// TextColumns are one column of text, or two for pairs, by their names in the header or their numbers from 1.
	TextColumns []string `toml:"text_columns"`

	// LabelColumn has the class, or with Regression the score, by name or by number from 1.
	LabelColumn string `toml:"label_column"`

	// Header says whether the first line of a file names the columns.
	Header bool `toml:"header"`

	// Regression says that labels are numbers to predict, not names of classes.
	Regression bool `toml:"regression"`
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
