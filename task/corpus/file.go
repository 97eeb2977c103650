package corpus

import (
	"cmp"
	"fmt"
	"os"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// On implements task.Filer: the file is text, whatever the model was trained on.
func (c *Corpus) On(string) recipe.Config { return c.Config }

// Columns implements task.Filer: text has none.
func (c *Corpus) Columns(recipe.Config) error { return nil }

// file feeds a text file: one string from its first byte to its last, as ids without a token around them, in windows of [data]
// seq_len tokens one after the other. The first token of a window is not predicted. f.Limit counts tokens from the beginning.
func (c *Corpus) file(s *model.Session, f task.Feed, feed func(p *model.Program, w *Windows) int) (task.Stream, error) {
	if c.Tokens == nil {
		return nil, task.Refusef("--file %s: the model has no tokenizer yet", f.File)
	}
	content, err := os.ReadFile(f.File)
	if err != nil {
		return nil, task.Refuse(err)
	}
	encoded, err := tokenizers.NewEncoder(c.Tokens)(nil, string(content))
	if err != nil {
		return nil, task.Refuse(fmt.Errorf("--file %s: %w", f.File, err))
	}
	if f.Limit > 0 && f.Limit < len(encoded) {
		encoded = encoded[:f.Limit]
	}
	if len(encoded) < 2 {
		return nil, task.Refusef("--file %s has %d tokens; want at least 2", f.File, len(encoded))
	}
	n := c.Config.Data.SeqLen()
	rows := cmp.Or(f.Rows, c.Config.Train.BatchSize)
	shape := model.Shape{Rows: rows, Length: n}
	w := &Windows{Inputs: make([]int, rows*n), Targets: make([]int, rows*n), Order: true}
	if err := f.Prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	windows := (len(encoded) + n - 1) / n
	return &task.Feeder{N: (windows + rows - 1) / rows, Fill: func(batch int) (*model.Program, int, error) {
		w.At = data.Cursor{Position: batch * rows}
		for i := range w.Inputs {
			at := batch*rows*n + i // windows lie one after the other, and so do rows
			w.Inputs[i], w.Targets[i] = 0, data.IgnoredTarget
			if at < len(encoded) {
				w.Inputs[i] = int(encoded[at])
			}
			if at+1 < len(encoded) && (i+1)%n != 0 {
				w.Targets[i] = int(encoded[at+1])
			}
		}
		p, err := f.Program(s, shape)
		if err != nil {
			return nil, 0, err
		}
		return p, feed(p, w), nil
	}}, nil
}
