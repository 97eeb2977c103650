package interpret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"

	"sparrow/data"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/saved"
	"sparrow/task"
)

// corpus is the text that a model reads, in windows of tokens.
type corpus struct {
	tokenizer tokenizers.Tokenizer
	train     []window
	held      []window // every tenth: no activation of it is fitted
	hash      string   // SHA-256 of the text
}

// window is a piece of text as a model reads it.
type window struct {
	ids         []int
	first, last int // of the tokens that count: neither the first, which attention sinks into, nor what frames a text
}

// heldOut is how many windows there are to one that is held out.
const heldOut = 10

// read reads as much text as gives the wanted tokens.
func read(ctx context.Context, l *saved.Model, patterns []string, tokens, length int) (*corpus, error) {
	t, err := task.ReadTokenizer(l.Files)
	if err != nil {
		return nil, err
	}
	texts, err := documents(ctx, l, patterns)
	if err != nil {
		return nil, err
	}
	if longest := l.Dims.Context; longest > 0 {
		length = min(length, longest)
	}
	c := &corpus{tokenizer: t}
	hash := sha256.New()
	frame := tokenizers.FrameOf(t)
	room := length - frame.Tokens(1)
	if _, writes := l.Task.(task.Generator); writes {
		frame, room = nil, length // windows of running text, as in training
	}
	n := 0
	for _, x := range texts {
		if n >= tokens {
			break
		}
		if most := 16 * (tokens - n + length); len(x) > most { // more characters than tokens are wanted
			x = x[:most]
			for len(x) > 0 && x[len(x)-1]&0xC0 == 0x80 {
				x = x[:len(x)-1]
			}
			x = x[:max(0, len(x)-1)]
		}
		hash.Write([]byte(x))
		ids, err := t.Encode(x)
		if err != nil {
			return nil, err
		}
		for piece := range slices.Chunk(ids, room) {
			if len(piece) < 4 || n >= tokens {
				break
			}
			w := window{ids: piece, first: 1, last: len(piece)}
			if frame != nil {
				w.ids, _ = frame.Apply(piece)
				w.first = slices.Index(w.ids, piece[0])
				w.last = w.first + len(piece)
			}
			if (len(c.train)+len(c.held)+1)%heldOut == 0 {
				c.held = append(c.held, w)
				continue
			}
			w.last = min(w.last, w.first+tokens-n)
			c.train = append(c.train, w)
			n += w.last - w.first
		}
	}
	if n < 100 || len(c.held) == 0 {
		return nil, task.Refusef("the text gives %d tokens to look at; want at least 100: name more files by [interpret] text", n)
	}
	c.hash = hex.EncodeToString(hash.Sum(nil))
	return c, nil
}

// tokens is how many count.
func (c *corpus) tokens() (n int) {
	for _, w := range c.train {
		n += w.last - w.first
	}
	return n
}

// documents are the texts of files, or those that the model was trained on.
func documents(ctx context.Context, l *saved.Model, patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		from, ok := l.Config.Data.Of.(text.Source)
		if !ok {
			return nil, task.Refusef("%s brings no text without labels; name files by [interpret] text, as in --set 'interpret.text=[\"docs/*.md\"]'", l.Dir)
		}
		splits, err := from.Read(ctx)
		if err != nil {
			return nil, err
		}
		var all []string
		for i := range splits.Train.List {
			all = append(all, splits.Train.Content(i))
		}
		return all, nil
	}
	var all []string
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			return nil, task.Refusef("[interpret] text: no file is like %q", pattern)
		}
		for _, path := range paths {
			content, err := data.ReadFile(path)
			if err != nil {
				return nil, task.Refuse(err)
			}
			if !bytes.Equal(content, bytes.ToValidUTF8(content, nil)) {
				return nil, task.Refuse(errors.New(path + " is not UTF-8 text"))
			}
			all = append(all, string(content))
		}
	}
	return all, nil
}
