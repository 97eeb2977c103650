package text

import (
	"slices"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Config says which text a language model reads, and how.
type Config struct {
	Source string   `toml:"source" doc:"where the data comes from" choices:"goroot|text"`
	Paths  []string `toml:"paths" doc:"files or globs, relative to the working directory; a glob has no **"`

	tokenizers.Config
	Limits
}

// Limits are the keys of the [data] table that say how much text is read, and in which pieces.
type Limits struct {
	SeqLen          int     `toml:"seq_len" doc:"length of a training sequence" unit:"tokens"`
	ValidationShare float64 `toml:"validation_share" doc:"share that is held out for validation, more than 0 and less than 1: whole packages of goroot, the end of each text file, of labelled data the same share of each class, by a hash of the content"`
	MaxBytes        int64   `toml:"max_bytes" doc:"most text of both splits together, chosen by names and sizes, so that a small run starts fast; 0: all" unit:"bytes"`
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
