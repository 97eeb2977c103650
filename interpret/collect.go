package interpret

import (
	"context"
	"fmt"

	"sparrow/data"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// place is where activations are read: a site of a block.
type place struct {
	layer int
	site  string
}

// blockOf are the names in a block of a model.
func blockOf(l *saved.Model, layer int) (model.Block, error) {
	body, ok := l.Config.Model.Body().(model.Opened)
	if !ok {
		return model.Block{}, task.Refusef("%s is a %s, whose MLPs are not open to analyses; want a decoder or an encoder", l.Dir, l.Config.Model.Name)
	}
	if n := l.Config.Model.Body().Blocks(); layer < 0 || layer >= n {
		return model.Block{}, task.Refusef("%s has no layer %d; want 0 to %d", l.Dir, layer, n-1)
	}
	return body.Block(layer), nil
}

// tap is the name of a place in the network.
func (p place) tap(b model.Block) string {
	switch p.site {
	case Hidden:
		return b.Down + ".input"
	case Out:
		return b.MLP
	}
	return b.Output
}

// reader runs windows of text through a model and hands out what it holds at some places.
type reader struct {
	s       *model.Session
	taps    []string
	longest int
}

func newReader(l *saved.Model, places []place) (*reader, error) {
	r := &reader{s: l.Session, longest: l.Dims.Context}
	for _, p := range places {
		b, err := blockOf(l, p.layer)
		if err != nil {
			return nil, err
		}
		r.taps = append(r.taps, p.tap(b))
	}
	return r, nil
}

// run reads one window and calls each with the values at each place, as rows a token.
func (r *reader) run(w window, each func(place int, rows model.Rows)) error {
	p, err := r.s.Program(model.Score, model.Shape{Rows: 1, Length: min(length(len(w.ids)), r.longest)}, r.taps...)
	if err != nil {
		return err
	}
	feed(p, [][]int{w.ids})
	if err := p.Run(); err != nil {
		return err
	}
	for i, tap := range r.taps {
		each(i, p.Site(tap))
	}
	return nil
}

// length is that of the program for a window: one of few.
func length(n int) int {
	const step = 16
	return (n + step - 1) / step * step
}

// feed gives a program texts, one a row, and no targets.
func feed(p *model.Program, texts [][]int) {
	tokens, targets, lengths := make([]int, p.Shape.Rows*p.Shape.Length), make([]int, p.Shape.Rows*p.Shape.Length), make([]int, p.Shape.Rows)
	for i := range lengths {
		lengths[i] = 1
	}
	for i := range targets {
		targets[i] = data.IgnoredTarget
	}
	for i, ids := range texts {
		copy(tokens[i*p.Shape.Length:], ids)
		lengths[i] = len(ids)
	}
	leaves := map[string][]int{"tokens": tokens, "lengths": lengths}
	if p.Has("targets") {
		leaves["targets"] = targets[:len(p.Ints("targets"))]
	}
	p.Feed(leaves)
}

// collect takes the activations of all fitted tokens at some places. It calls after with tokens done.
func collect(ctx context.Context, l *saved.Model, c *corpus, places []place, after func(done int)) ([]*spool, error) {
	r, err := newReader(l, places)
	if err != nil {
		return nil, err
	}
	spools := make([]*spool, len(places))
	var row []float32
	done := 0
	for _, w := range c.train {
		if err := ctx.Err(); err != nil {
			return spools, err
		}
		var failed error
		err := r.run(w, func(at int, rows model.Rows) {
			if spools[at] == nil && failed == nil {
				spools[at], failed = newSpool(rows.Width)
			}
			if cap(row) < rows.Width {
				row = make([]float32, rows.Width)
			}
			for i := w.first; i < w.last && failed == nil; i++ {
				failed = spools[at].add(rows.Row(row[:rows.Width], i))
			}
		})
		if err == nil {
			err = failed
		}
		if err != nil {
			return spools, fmt.Errorf("interpret: %w", err)
		}
		done += w.last - w.first
		after(done)
	}
	return spools, nil
}
