package recipe

import (
	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/data/text"
)

// none is the name of the source None.
const none = "none"

// None is the source of a model that comes from elsewhere: there are no data, and only files are read.
type None struct {
	SeqLen int `toml:"seq_len" doc:"length of the windows in which a text file is read" unit:"tokens"`
	labelled.Lengths
}

// DefaultNone returns the values of keys that a config leaves out.
func DefaultNone() None {
	return None{text.DefaultOptions().SeqLen, labelled.DefaultOptions().Lengths}
}

// evalWindow is how many tokens of a file a model from elsewhere is measured on at once.
const evalWindow = 1024

// NoneWithin is None for a model that reads up to so many tokens.
func NoneWithin(context int) None {
	s := DefaultNone()
	s.SeqLen, s.MaxLen = min(evalWindow, context), min(labelled.MaxMaxLen, context)
	return s
}

// Name implements data.Source.
func (None) Name() string { return none }

// Validate reports a length that is none; Lengths report theirs.
func (s None) Validate(r *configs.Report) {
	if s.SeqLen < 1 {
		r.Errorf("seq_len", "is out of range; want at least 1 token")
	}
}
