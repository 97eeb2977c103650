package labelled

import (
	"context"
	"fmt"
)

// Listed is an example as its file has it.
type Listed struct {
	Text  string
	Label string
	Truth string // from another column; "": not asked for
	Held  bool   // of validation or test
}

// List reads single texts with classes as Open splits them. truth names a column of source "table" that says more of each text than its
// label; "": none.
func List(ctx context.Context, from Source, labels []string, truth string) ([]Listed, error) {
	var c *Corpus
	var err error
	switch s, tsv := from.(Table); {
	case tsv && truth != "":
		c, err = s.readBeside(ctx, labels, truth)
	case truth != "":
		return nil, fmt.Errorf("data: source %q has no column %q; want source = \"table\"", from.Name(), truth)
	default:
		c, err = from.Read(ctx, labels)
	}
	if err == nil {
		err = c.split(from)
	}
	if err != nil {
		return nil, err
	}
	if c.Labels == nil || c.Train.Pairs {
		return nil, fmt.Errorf("data: source %q has pairs of texts or scores; want single texts with classes", from.Name())
	}
	var all []Listed
	for _, half := range []*Texts{c.Train, c.Validation, c.Test} {
		if half == nil {
			continue
		}
		for i, label := range half.Labels {
			x := Listed{Text: half.Content(i), Label: c.Labels[label], Held: half != c.Train}
			if truth != "" {
				x.Truth = half.truth[i]
			}
			all = append(all, x)
		}
	}
	return all, nil
}

// readBeside is Read with another column as well.
func (s Table) readBeside(ctx context.Context, labels []string, truth string) (*Corpus, error) {
	beside := s
	beside.LabelColumn = truth
	c := &Corpus{Labels: labels}
	for _, file := range []struct {
		path string
		into **Texts
	}{{s.Train, &c.Train}, {s.Validation, &c.Validation}, {s.Test, &c.Test}} {
		if file.path == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		texts, found, err := s.readFile(file.path, c.Labels)
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		other, names, err := beside.readFile(file.path, nil)
		if err != nil {
			return nil, fmt.Errorf("data: column of true classes: %w", err)
		}
		for _, id := range other.Labels {
			texts.truth = append(texts.truth, names[id])
		}
		*file.into = texts.capExamples(s.MaxExamples)
		c.Labels = found
		c.Files++
	}
	return c, nil
}
