package data

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
)

// Config is the [data] table of a run.
type Config struct {
	// Source is "goroot" (the .go files of the Go distribution) or "text" (the files in Paths), for language models; or
	// "imdb" (film reviews, from a Go module) or "tsv" (the files Train, Validation and Test), for classification and
	// regression of texts; or "mnist" (digits, from a Go module) or "image_folder" (PNG and JPEG files), for
	// classification of images.
	Source string `toml:"source"`

	// Paths are the files or globs of source "text", relative to the working directory. A glob is that of
	// path/filepath.Match: no "**".
	Paths []string `toml:"paths"`

	// Tokenizer is "byte", "char", "word", "bpe", "wordpiece" (the last four made from the training split), the path of a
	// Hugging Face tokenizer.json, or that of a BERT vocab.txt.
	Tokenizer string `toml:"tokenizer"`

	// VocabSize is the number of ids of a tokenizer that is made from text, special tokens included: 257 to 65536 for
	// "bpe", 32 to 65536 for "wordpiece", 4 to 1048576 for "word". A small corpus may yield fewer. The other tokenizers
	// have their own and ignore it. The default suits byte-pair encoding and networks of 1M to 50M parameters, where the
	// embedding of a larger vocabulary would outweigh the layers; word-level vocabularies want 10,000 to 30,000.
	VocabSize int `toml:"vocab_size"`

	// MinCount is how often a word must occur in the training split to get an id of a "word" tokenizer, at least 1. The
	// others are unknown words.
	MinCount int `toml:"min_count"`

	// Lowercase says whether "word", "wordpiece" and a vocab.txt take upper case for lower case; the latter two then drop
	// accents too, as BERT does. A tokenizer.json says so itself.
	Lowercase bool `toml:"lowercase"`

	// SeqLen is the length of a training sequence of a language model in tokens, at least 1.
	SeqLen int `toml:"seq_len"`

	// ValidationShare is the share of the corpus held out for validation, in (0, 1). What is held out depends on the
	// source: whole packages of goroot, the end of each text file; of labelled examples the same share of each class,
	// chosen by the hash of the text, so that equal texts stay together.
	ValidationShare float64 `toml:"validation_share"`

	// MaxBytes caps the text of both splits of "goroot" and "text" together, in bytes, so that a small run starts fast; 0 takes all. The
	// choice depends on file names and sizes only, so it is equal each time.
	MaxBytes int64 `toml:"max_bytes"`

	LabelledConfig
	ImageConfig
}

// vocabLimits says how many ids a tokenizer made from text may have. Below are its special tokens and something to
// learn (of byte pairs all bytes); above 16-bit ids, and of words more than any language has in use.
var vocabLimits = map[string][2]int{
	"bpe":       {257, 1 << 16},
	"wordpiece": {32, 1 << 16},
	"word":      {len(wordSpecials) + 1, 1 << 20},
}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{
		Source:          "goroot",
		Tokenizer:       "byte",
		VocabSize:       4096,
		SeqLen:          256,
		ValidationShare: 0.05,
		MinCount:        2,
		Lowercase:       true,
		LabelledConfig:  LabelledConfig{MaxLen: 256, Cut: "head", Header: true},
	}
}

// sources lists the values of Config.Source for messages; openCorpus, readLabelled and OpenImages have the switches.
var sources = []string{"goroot", "text", "imdb", "tsv", "mnist", "image_folder"}

// tokenizers lists the named values of Config.Tokenizer for messages; newTokenizer has the switch.
var tokenizers = []string{"byte", "char", "word", "bpe", "wordpiece"}

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (c *Config) Validate(r *configs.Report) {
	for _, p := range c.problems() {
		r.Errorf(p.key, "%s", p.text)
	}
}

// check returns the first problem as an error, for callers that did not come through a config file.
func (c *Config) check() error {
	if found := c.problems(); len(found) > 0 {
		return fmt.Errorf("data: config: %s = %#v %s", found[0].key, found[0].value, found[0].text)
	}
	return nil
}

// problem is a finding about one key. Its text continues "key = value".
type problem struct {
	key   string
	value any
	text  string
}

// problems checks what needs no file system.
func (c *Config) problems() []problem {
	var found []problem
	add := func(key string, value any, format string, args ...any) {
		found = append(found, problem{key, value, fmt.Sprintf(format, args...)})
	}
	switch {
	case !slices.Contains(sources, c.Source):
		add("source", c.Source, "is unknown; want one of %s", quotedList(sources))
	case c.Source == "text" && len(c.Paths) == 0:
		add("paths", c.Paths, `is empty; source = "text" needs files or globs`)
	case c.Source != "text" && len(c.Paths) > 0:
		add("paths", c.Paths, `is for source = "text", but source = %q`, c.Source)
	}
	c.labelledProblems(add)
	c.imageProblems(add)
	if slices.Contains(c.Paths, "") {
		add("paths", c.Paths, "has an empty path")
	}
	if !isTokenizerPath(c.Tokenizer) && !slices.Contains(tokenizers, c.Tokenizer) {
		add("tokenizer", c.Tokenizer, "is unknown; want one of %s or the path of a Hugging Face tokenizer.json or a BERT vocab.txt", quotedList(tokenizers))
	}
	if limits, made := vocabLimits[c.Tokenizer]; made && (c.VocabSize < limits[0] || c.VocabSize > limits[1]) {
		add("vocab_size", c.VocabSize, "is out of range; want %d to %d", limits[0], limits[1])
	}
	if c.MinCount < 1 {
		add("min_count", c.MinCount, "is out of range; want at least 1 occurrence")
	}
	if c.SeqLen < 1 {
		add("seq_len", c.SeqLen, "is out of range; want at least 1 token")
	}
	if !(c.ValidationShare > 0 && c.ValidationShare < 1) { // also catches NaN
		add("validation_share", c.ValidationShare, "is out of range; want more than 0 and less than 1")
	}
	if c.MaxBytes < 0 {
		add("max_bytes", c.MaxBytes, "is out of range; want 0 (all) or more")
	}
	return found
}

// isTokenizerPath tells a path from a misspelt name.
func isTokenizerPath(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".txt") || strings.ContainsAny(name, `/\`)
}

func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}
