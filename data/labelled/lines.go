package labelled

import (
	"context"
	"fmt"
	"strings"

	"sparrow/data"
)

// Lines is a source of texts without labels, each line of its documents one of them: what a network's layers read can be learned
// of it, and nothing that takes a loss. Their label is data.IgnoredTarget.
type Lines struct {
	Options
	From string                                                                              `toml:"-"` // the source's name
	Docs func(ctx context.Context) (train, validation *data.Documents, files int, err error) `toml:"-"`
}

// Name implements data.Source.
func (s Lines) Name() string { return s.From }

// Scores implements Source.
func (Lines) Scores() bool { return false }

// Read implements Source.
func (s Lines) Read(ctx context.Context, labels []string) (*Corpus, error) {
	train, validation, files, err := s.Docs(ctx)
	if err != nil {
		return nil, err
	}
	c := &Corpus{Labels: labels, Files: files, Unlabelled: true}
	for _, half := range []struct {
		from *data.Documents
		into **Texts
	}{{train, &c.Train}, {validation, &c.Validation}} {
		if err := half.from.CheckUTF8(); err != nil {
			return nil, err
		}
		*half.into = linesOf(half.from).capExamples(s.MaxExamples)
	}
	return c, nil
}

// Look implements Source.
func (s Lines) Look(context.Context) (data.Survey, error) {
	return data.Survey{}, fmt.Errorf("data: source %q has no labels", s.From)
}

// linesOf are the lines of documents that are not blank.
func linesOf(d *data.Documents) *Texts {
	l := &Texts{Labels: []int32{}}
	for i, doc := range d.List {
		for line := range strings.Lines(d.Content(i)) {
			if line = strings.TrimSpace(line); line != "" {
				l.AddText(line, doc.Path)
				l.Labels = append(l.Labels, data.IgnoredTarget)
			}
		}
	}
	return l
}
