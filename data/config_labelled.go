package data

import (
	"fmt"
	"strconv"
)

// LabelledConfig has the keys of the [data] table that are for labelled texts, sources "imdb" and "tsv"; MaxExamples and Root
// are for images as well.
type LabelledConfig struct {
	// MaxLen is the length, in tokens with special ones, to which longer examples are cut: 8 to 65536. Of a pair the longer
	// text is cut first.
	MaxLen int `toml:"max_len"`

	// Cut says what is kept of a text that is cut: "head", its beginning, or "head_tail", a quarter of the room for its
	// beginning and the rest for its end (Sun et al., "How to Fine-Tune BERT for Text Classification?", 2019, section 5.3.1).
	Cut string `toml:"cut"`

	// MaxExamples caps the examples of each file or split, so that a small run starts fast; 0 takes all. The choice is by
	// hashes of names (imdb, image_folder) or contents (tsv, mnist), so it is equal each time.
	MaxExamples int `toml:"max_examples"`

	// Root is the folder of source "image_folder", or one with the files of "imdb" or "mnist"; for those two empty means that
	// they come from the Go module.
	Root string `toml:"root"`

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

	// Vectors is a file of pretrained word vectors in GloVe's text format, for tokenizer "word"; empty: none.
	Vectors string `toml:"vectors"`
}

// Limits of max_len: a pair with its special tokens and a few words below; above, no text classifier reads more.
const (
	minMaxLen = 8
	maxMaxLen = 1 << 16
)

// IsLabelled reports whether the source has labelled texts, which [OpenLabelled] reads.
func (c *Config) IsLabelled() bool { return c.Source == "imdb" || c.Source == "tsv" }

// labelledProblems checks the keys of LabelledConfig and those that have no meaning for labelled sources.
func (c *Config) labelledProblems(add func(key string, value any, format string, args ...any)) {
	if c.MaxLen < minMaxLen || c.MaxLen > maxMaxLen {
		add("max_len", c.MaxLen, "is out of range; want %d to %d tokens", minMaxLen, maxMaxLen)
	}
	if c.Cut != "head" && c.Cut != "head_tail" {
		add("cut", c.Cut, `is unknown; want one of "head", "head_tail"`)
	}
	if c.MaxExamples < 0 {
		add("max_examples", c.MaxExamples, "is out of range; want 0 (all) or more")
	}
	if c.MaxBytes > 0 && (c.IsLabelled() || c.IsImages()) {
		add("max_bytes", c.MaxBytes, `is for sources "goroot" and "text", but source = %q; want max_examples`, c.Source)
	}
	if c.Vectors != "" && c.Tokenizer != "word" {
		add("vectors", c.Vectors, `is for tokenizer = "word", but tokenizer = %q`, c.Tokenizer)
	}
	if c.Root != "" && c.Source != "imdb" && !c.IsImages() {
		add("root", c.Root, `is for sources "imdb", "mnist" and "image_folder", but source = %q`, c.Source)
	}
	if c.Source == "tsv" {
		c.tsvProblems(add)
		return
	}
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"train", c.Train != ""}, {"validation", c.Validation != ""}, {"test", c.Test != ""}, {"text_columns", len(c.TextColumns) > 0},
		{"label_column", c.LabelColumn != ""}, {"header", !c.Header}, {"regression", c.Regression},
	} {
		if key.set {
			add(key.name, c.tsvValue(key.name), `is for source = "tsv", but source = %q`, c.Source)
		}
	}
}

// tsvProblems checks the keys that source "tsv" needs.
func (c *Config) tsvProblems(add func(key string, value any, format string, args ...any)) {
	if c.Train == "" {
		add("train", c.Train, `is empty; source = "tsv" needs a file`)
	}
	if n := len(c.TextColumns); n != 1 && n != 2 {
		add("text_columns", c.TextColumns, "has %d columns; want 1, or 2 for pairs", n)
	}
	if c.LabelColumn == "" {
		add("label_column", c.LabelColumn, "is empty; want the column of the classes or scores")
	}
	seen := map[string]bool{}
	for _, column := range append([]string{c.LabelColumn}, c.TextColumns...) {
		key := "text_columns"
		if len(seen) == 0 {
			key = "label_column"
		}
		n, err := strconv.Atoi(column)
		switch {
		case seen[column]:
			add(key, c.tsvValue(key), "has column %q twice, or it is the label as well", column)
		case column == "" && key == "text_columns":
			add(key, c.tsvValue(key), "has an empty name")
		case err != nil && !c.Header && column != "":
			add(key, c.tsvValue(key), "has the name %q, but header = false; want numbers from 1", column)
		case err == nil && n < 1 && !c.Header:
			add(key, c.tsvValue(key), "has column %d; columns are numbered from 1", n)
		}
		seen[column] = true
	}
}

// tsvValue returns the value of a key for messages.
func (c *Config) tsvValue(key string) any {
	switch key {
	case "train":
		return c.Train
	case "validation":
		return c.Validation
	case "test":
		return c.Test
	case "text_columns":
		return c.TextColumns
	case "label_column":
		return c.LabelColumn
	case "header":
		return c.Header
	case "regression":
		return c.Regression
	}
	panic(fmt.Sprintf("data: no key %q of tsv", key)) // impossible: the callers name keys of this list
}
