package interpret

import (
	"context"

	"sparrow/data/tokenizers"
	"sparrow/factor"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// Active is a feature at a token.
type Active struct {
	Feature     int     `json:"feature"`
	Coefficient float64 `json:"coefficient"`
}

// Encoded is a token of a text with the features that it has, the strongest first.
type Encoded struct {
	Token    string   `json:"token"`
	Features []Active `json:"features"`
	Error    float64  `json:"error"` // share of what is there that the features do not explain
}

// Encode says which features of a set each token of a text has, by non-negative least squares; keep is how many of each.
func (f *Folder) Encode(ctx context.Context, l *saved.Model, s *Set, text string, keep int) ([]Encoded, error) {
	if err := f.Check(l); err != nil {
		return nil, err
	}
	w, tokenizer, err := windowOf(l, text)
	if err != nil {
		return nil, err
	}
	a, err := activations(l, place{s.Layer, s.Site}, w)
	if err != nil {
		return nil, err
	}
	g, left, err := factor.Encode(ctx, s.Z, a, nil)
	if err != nil {
		return nil, err
	}
	var all []Encoded
	for i := range a.Rows {
		e := Encoded{Token: tokenizer.Decode(w.ids[w.first+i : w.first+i+1])}
		whole := 0.0
		for _, x := range a.Row(i) {
			whole += x * x
		}
		if whole > 0 {
			e.Error = rounded(left[i] / whole)
		}
		for _, k := range top(g.Row(i), keep) {
			e.Features = append(e.Features, Active{k, rounded(g.Row(i)[k])})
		}
		all = append(all, e)
	}
	return all, nil
}

// windowOf is a text as a model reads it.
func windowOf(l *saved.Model, text string) (window, tokenizers.Tokenizer, error) {
	t, err := task.ReadTokenizer(l.Files)
	if err != nil {
		return window{}, nil, err
	}
	ids, err := t.Encode(text)
	if err != nil {
		return window{}, nil, err
	}
	w := window{ids: ids, last: len(ids)}
	if _, writes := l.Task.(task.Generator); !writes {
		if frame := tokenizers.FrameOf(t); frame != nil {
			w.ids, _ = frame.Apply(ids)
			for w.first < len(w.ids) && len(ids) > 0 && w.ids[w.first] != ids[0] {
				w.first++
			}
			w.last = w.first + len(ids)
		}
	}
	if n := l.Dims.Context; len(ids) == 0 || n > 0 && len(w.ids) > n {
		return w, nil, task.Refusef("a text of %d tokens; want 1 to %d", len(w.ids), n)
	}
	return w, t, nil
}

// activations are what a model holds at a place for the tokens of a window [T, d].
func activations(l *saved.Model, p place, w window) (*factor.Matrix, error) {
	r, err := newReader(l, []place{p})
	if err != nil {
		return nil, err
	}
	var a *factor.Matrix
	err = r.run(w, func(_ int, rows model.Rows) {
		a = factor.NewMatrix(w.last-w.first, rows.Width)
		for i := range a.Rows {
			for j := range rows.Width {
				a.Row(i)[j] = rows.At(w.first+i, j)
			}
		}
	})
	return a, err
}
