package text

import (
	"context"
	"slices"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Source is a source of text without labels, as a language model reads it.
type Source interface {
	data.Source
	// Text are the keys that all sources of text have.
	Text() Options
	// Read reads both splits.
	Read(ctx context.Context) (*Splits, error)
	// Look finds the files without reading them.
	Look(ctx context.Context) (data.Survey, error)
}

// Options are the keys of the [data] table that all sources of text have.
type Options struct {
	tokenizers.Config
	Limits
}

// Text implements Source.
func (o Options) Text() Options { return o }

// Limits are the keys of the [data] table that say how much text is read, and in which pieces.
type Limits struct {
	SeqLen          int     `toml:"seq_len" also:"max_len|max_length|sequence_length|block_size|context_length|max_seq_len" doc:"length of a training sequence" unit:"tokens"`
	ValidationShare float64 `toml:"validation_share" also:"val_split|validation_split|test_size" doc:"share that is held out for validation, more than 0 and less than 1: whole packages of goroot, the end of each text file"`
	MaxBytes        int64   `toml:"max_bytes" doc:"most text of both splits together, chosen by names and sizes, so that a small run starts fast; 0: all" unit:"bytes"`
}

// DefaultOptions returns the values of keys that a config leaves out.
func DefaultOptions() Options {
	return Options{tokenizers.DefaultConfig(), Limits{SeqLen: 256, ValidationShare: data.DefaultShare}}
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

// Goroot is the source of the Go distribution.
type Goroot struct{ Options }

// DefaultGoroot returns the values of keys that a config leaves out.
func DefaultGoroot() Goroot { return Goroot{DefaultOptions()} }

// Name implements data.Source.
func (Goroot) Name() string { return "goroot" }

// Files are files of the user's own.
type Files struct {
	Paths []string `toml:"paths" also:"path|files|file|train" doc:"files or globs, relative to the working directory; a glob has no **"`
	Options
}

// DefaultFiles returns the values of keys that a config leaves out.
func DefaultFiles() Files { return Files{Options: DefaultOptions()} }

// Name implements data.Source.
func (Files) Name() string { return "text" }

// Validate reports paths that name no file.
func (s Files) Validate(r *configs.Report) {
	if len(s.Paths) == 0 {
		r.Errorf("paths", `is empty; source = "text" needs files or globs`)
	}
	if slices.Contains(s.Paths, "") {
		r.Errorf("paths", "has an empty path")
	}
}

// Sources are those that come with this package.
func Sources() []configs.Choice[data.Source] {
	return []configs.Choice[data.Source]{
		{Name: "goroot", New: func() data.Source { return DefaultGoroot() }},
		{Name: "text", New: func() data.Source { return DefaultFiles() }},
	}
}

// Start implements configs.Starter.
func (Goroot) Start() []string {
	return []string{"data.seq_len=128", "train.steps=2000", `sample.prompt="func "`}
}

// Start implements configs.Starter.
func (Files) Start() []string {
	return []string{`data.paths=["my-texts/*.txt"]`, "data.seq_len=128", "data.tokenizer=byte", "train.epochs=3"}
}
