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
// seq_len tokens. They lie one after the other, and the first token of each is not predicted. With f.Stride they begin that many
// tokens apart, and each predicts only the tokens that those before it did not reach. f.Limit counts tokens from the beginning.
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
	stride := cmp.Or(f.Stride, n)
	if stride < 1 || stride > n {
		return nil, task.Refusef("stride %d; want 1 to the length of a window, [data] seq_len = %d", stride, n)
	}
	rows := cmp.Or(f.Rows, c.Config.Train.BatchSize)
	shape := model.Shape{Rows: rows, Length: n}
	w := &Windows{Inputs: make([]int, rows*n), Targets: make([]int, rows*n), Order: true}
	if err := f.Prepare(s, []model.Shape{shape}); err != nil {
		return nil, err
	}
	windows := 1 + (max(0, len(encoded)-n)+stride-1)/stride
	return &task.Feeder{N: (windows + rows - 1) / rows, Fill: func(batch int) (*model.Program, int, error) {
		w.At = data.Cursor{Position: batch * rows}
		for i := range w.Inputs {
			row, place := batch*rows+i/n, i%n
			at := row*stride + place
			w.Inputs[i], w.Targets[i] = 0, data.IgnoredTarget
			if row < windows && at < len(encoded) {
				w.Inputs[i] = int(encoded[at])
			}
			scored := (row-1)*stride + n // tokens that the windows before this one have reached
			if row < windows && place+1 < n && at+1 < len(encoded) && (row == 0 || at+1 >= scored) {
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
