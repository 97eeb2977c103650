package sentence

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/task"
)

// Embed implements task.Embedder. Longer texts are cut.
func (t *Task) Embed(ctx context.Context, s *model.Session, texts []string, v task.Vectors) ([][]float32, error) {
	prompt, err := t.prompt(v.Prompt)
	if err != nil {
		return nil, err
	}
	if _, err := t.cut(nil, v.Dims); err != nil {
		return nil, err
	}
	tokens, err := t.encoded(before(prompt, texts))
	if err != nil {
		return nil, err
	}
	x, err := t.embed(ctx, s, tokens, nil)
	if err != nil {
		return nil, err
	}
	return t.cut(x, v.Dims)
}

func (t *Task) encoder() (*labelled.TextEncoder, error) {
	lengths := t.cfg.Data.Lengths()
	lengths.MaxLen = t.longest()
	return labelled.NewTextEncoder(t.tokenizer, lengths)
}

// batch is the most texts that share a program.
const batch = 32

func (t *Task) embed(ctx context.Context, s *model.Session, texts [][]int, after func(done, total int)) ([][]float32, error) {
	how := t.how
	how.Longest = t.longest()
	return Vectors(ctx, s, how, tokenizers.Specials(t.tokenizer).Pad, texts, after)
}

// Vectors makes those of texts, given as token ids, none of which is longer than how.Longest. Texts of about the same length run
// together, filled up with pad; after, which may be nil, is told of each batch.
func Vectors(ctx context.Context, s *model.Session, how model.Sentences, pad int, texts [][]int, after func(done, total int)) ([][]float32, error) {
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(texts[b]) - len(texts[a]) })
	out := make([][]float32, len(texts))
	for first := 0; first < len(order); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some := order[first:min(first+batch, len(order))]
		lengths := make([]int, len(some))
		for i, text := range some {
			lengths[i] = len(texts[text])
		}
		counts, shapes := split(lengths, how.Longest)
		for i, n := range counts {
			if err := run(s, how, shapes[i], max(pad, 0), texts, some[:n], out); err != nil {
				return nil, err
			}
			some = some[n:]
		}
		if after != nil {
			after(first/batch+1, (len(order)+batch-1)/batch)
		}
	}
	return out, nil
}

// run makes the vectors of some texts.
func run(s *model.Session, how model.Sentences, shape model.Shape, pad int, texts [][]int, some []int, out [][]float32) error {
	p, err := s.Program(model.Score, shape)
	if err != nil {
		return err
	}
	n := shape.Length
	tokens, counts := make([]int, shape.Rows*n), make([]int, shape.Rows)
	shares := make([]float32, shape.Rows*n)
	for i := range tokens {
		tokens[i] = pad
	}
	for row, i := range some {
		counts[row] = len(texts[i])
		copy(tokens[row*n:], texts[i])
		how.Shares(shares[row*n:(row+1)*n], counts[row])
	}
	p.Feed(map[string][]int{"tokens": tokens, "lengths": counts, "types": nil}) // a text by itself is of type 0
	p.Floats("shares").Set(shares)
	if err := p.Run(); err != nil {
		return err
	}
	rows := p.Output("embedding")
	for row, i := range some {
		out[i] = rows.Row(make([]float32, rows.Width), row)
		if how.Normalize {
			normalize(out[i])
		}
		for _, x := range out[i] {
			if x-x != 0 {
				return fmt.Errorf("the vector of a text is not made of finite numbers")
			}
		}
	}
	return nil
}

// normalize gives a vector length 1; one of length 0 stays.
func normalize(x []float32) {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	if sum == 0 {
		return
	}
	scale := 1 / math.Sqrt(sum)
	for i, v := range x {
		x[i] = float32(float64(v) * scale)
	}
}
