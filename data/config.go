package data

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
)

// Config is the [data] table of a run.
type Config struct {
	// Source is "goroot" (the .go files of the Go distribution) or "text" (the files in Paths).
	Source string `toml:"source"`

	// Paths are the files or globs of source "text", relative to the working directory. A glob is that of
	// path/filepath.Match: no "**".
	Paths []string `toml:"paths"`

	// Tokenizer is "byte", "char", "bpe" (trained on the training split) or the path of a Hugging Face tokenizer.json.
	Tokenizer string `toml:"tokenizer"`

	// VocabSize is the number of ids of a "bpe" tokenizer, the 256 bytes and the separator included: 257 to 65536.
	// A small corpus may yield fewer. The other tokenizers have their own and ignore it. The default suits networks of
	// 1M to 50M parameters, where the embedding of a larger vocabulary would outweigh the layers.
	VocabSize int `toml:"vocab_size"`

	// SeqLen is the length of a training sequence in tokens, at least 1.
	SeqLen int `toml:"seq_len"`

	// ValidationShare is the share of the corpus held out for validation, in (0, 1). What is held out depends on the
	// source: whole packages of goroot, the end of each text file.
	ValidationShare float64 `toml:"validation_share"`

	// MaxBytes caps the text of both splits together, in bytes, so that a small run starts fast; 0 takes all. The
	// choice depends on file names and sizes only, so it is equal each time.
	MaxBytes int64 `toml:"max_bytes"`
}

// Limits of a BPE vocabulary: the separator and 256 bytes below, 16-bit ids above.
const (
	minBPEVocab = 257
	maxBPEVocab = 1 << 16
)

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{
		Source:          "goroot",
		Tokenizer:       "byte",
		VocabSize:       4096,
		SeqLen:          256,
		ValidationShare: 0.05,
	}
}

// sources lists the values of Config.Source for messages; openCorpus has the switch.
var sources = []string{"goroot", "text"}

// tokenizers lists the named values of Config.Tokenizer for messages; newTokenizer has the switch.
var tokenizers = []string{"byte", "char", "bpe"}

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
	switch c.Source {
	case "goroot":
		if len(c.Paths) > 0 {
			add("paths", c.Paths, `is for source = "text", but source = "goroot"`)
		}
	case "text":
		if len(c.Paths) == 0 {
			add("paths", c.Paths, `is empty; source = "text" needs files or globs`)
		}
	default:
		add("source", c.Source, "is unknown; want one of %s", quotedList(sources))
	}
	if slices.Contains(c.Paths, "") {
		add("paths", c.Paths, "has an empty path")
	}
	if !isTokenizerPath(c.Tokenizer) && !slices.Contains(tokenizers, c.Tokenizer) {
		add("tokenizer", c.Tokenizer, "is unknown; want one of %s or the path of a Hugging Face tokenizer.json", quotedList(tokenizers))
	}
	if c.Tokenizer == "bpe" && (c.VocabSize < minBPEVocab || c.VocabSize > maxBPEVocab) {
		add("vocab_size", c.VocabSize, "is out of range; want %d to %d", minBPEVocab, maxBPEVocab)
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
	return strings.HasSuffix(name, ".json") || strings.ContainsAny(name, `/\`)
}

func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}
