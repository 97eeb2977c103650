package text

import (
	"slices"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Config says which text a language model reads, and how.
type Config struct {
	// Source is "goroot" (the .go files of the Go distribution) or "text" (the files in Paths).
	Source string `toml:"source"`

	// Paths are the files or globs of source "text", relative to the working directory. A glob is that of
	// path/filepath.Match: no "**".
	Paths []string `toml:"paths"`

	tokenizers.Config
	Limits
}

// Limits are the keys of the [data] table that say how much text is read, and in which pieces.
type Limits struct {
	// SeqLen is the length of a training sequence of a language model in tokens, at least 1.
	SeqLen int `toml:"seq_len"`

	// ValidationShare is the share of the corpus held out for validation, in (0, 1). What is held out depends on the
	// source: whole packages of goroot, the end of each text file; of labelled examples the same share of each class,
	// chosen by the hash of the text, so that equal texts stay together.
	ValidationShare float64 `toml:"validation_share"`

	// MaxBytes caps the text of both splits of "goroot" and "text" together, in bytes, so that a small run starts fast; 0 takes all. The
	// choice depends on file names and sizes only, so it is equal each time.
	MaxBytes int64 `toml:"max_bytes"`
}

// Sources lists the values of Source for messages; openCorpus has the switch.
var Sources = []string{"goroot", "text"}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{Source: "goroot", Config: tokenizers.DefaultConfig(), Limits: DefaultLimits()}
}

// DefaultLimits returns the values of keys that a config leaves out.
func DefaultLimits() Limits { return Limits{SeqLen: 256, ValidationShare: data.DefaultShare} }

// Validate reports a source that is no text, and paths that do not fit it.
func (c Config) Validate(r *configs.Report) {
	switch {
	case !slices.Contains(Sources, c.Source):
		r.Errorf("source", `has labelled examples, for classification and regression; a language model wants "goroot" or "text"`)
	case c.Source == "text" && len(c.Paths) == 0:
		r.Errorf("paths", `is empty; source = "text" needs files or globs`)
	case c.Source != "text" && len(c.Paths) > 0:
		r.Errorf("paths", `is for source = "text", but source = %q`, c.Source)
	}
	if slices.Contains(c.Paths, "") {
		r.Errorf("paths", "has an empty path")
	}
}

// Validate reports every key that is wrong.
func (l Limits) Validate(r *configs.Report) {
	if l.SeqLen < 1 {
		r.Errorf("seq_len", "is out of range; want at least 1 token")
	}
	data.CheckShare(r, l.ValidationShare)
	if l.MaxBytes < 0 {
		r.Errorf("max_bytes", "is out of range; want 0 (all) or more")
	}
}

// check is validation for callers that did not come through a config file.
func (c *Config) check() error { return configs.Validate("data: config", c) }
