package sparrow

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"sparrow/model"
	"sparrow/task"
)

// EmbedOptions say which vectors texts get. The zero value takes the model's own.
type EmbedOptions struct {
	Prompt string // name of a prompt of the model, such as query, that comes before each text; "": its default, if any
	Dims   int    // keep so many of the first numbers, of models that are trained for it; 0: all
}

// Embed gives each text a vector, by a sentence encoder. Texts that mean the same have vectors of about the same direction. Longer
// texts than the model reads are cut. An error about one of them is an *[InputError] that has its index.
func (m *Model) Embed(ctx context.Context, texts []string, o EmbedOptions) (out [][]float32, err error) {
	e, ok := m.m.Task.(task.Embedder)
	if !ok {
		return nil, fmt.Errorf("%w: it is no sentence encoder", ErrCannot)
	}
	err = m.m.Do(ctx, func(s *model.Session) error {
		out, err = e.Embed(ctx, s, texts, task.Vectors{Prompt: o.Prompt, Dims: o.Dims})
		return err
	})
	return out, err
}

// Ranked is a document in the order of how well it answers a query.
type Ranked struct {
	Index int     // of the document
	Score float64 // of a cross-encoder its score, or the probability of the second of two classes; of a sentence encoder the cosine
}

// Rerank orders documents by how well they answer a query, the best first. A cross-encoder reads each beside the query; a sentence
// encoder compares their vectors, which is quicker and less exact. An error about a document is an *[InputError] that has its index.
func (m *Model) Rerank(ctx context.Context, query string, documents []string) ([]Ranked, error) {
	r, ok := m.m.Task.(task.Ranker)
	if !ok || !r.Ranks() {
		return nil, fmt.Errorf("%w: it is neither a cross-encoder nor a sentence encoder", ErrCannot)
	}
	out := make([]Ranked, len(documents))
	err := m.m.Do(ctx, func(s *model.Session) error {
		scores, err := r.Rank(ctx, s, query, documents)
		for i, x := range scores {
			out[i] = Ranked{i, x}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Ranked) int { return cmp.Compare(b.Score, a.Score) })
	return out, nil
}
