package extend

import (
	"context"
	"slices"

	"sparrow/internal/rng"
)

// shuffled gives each word the vector of another: what they still do then is no matter of meaning.
type shuffled struct {
	Words
	seed uint64
}

// Each implements Words. All vectors are held at once.
func (s shuffled) Each(ctx context.Context, yield func(string, []float32) error) error {
	var words []string
	var vectors [][]float32
	err := s.Words.Each(ctx, func(word string, v []float32) error {
		words, vectors = append(words, word), append(vectors, slices.Clone(v))
		return nil
	})
	if err != nil {
		return err
	}
	r := rng.New(s.seed, "extend/shuffled", 0)
	for i := len(vectors) - 1; i > 0; i-- { // Fisher and Yates
		j := r.Intn(i + 1)
		vectors[i], vectors[j] = vectors[j], vectors[i]
	}
	for i, word := range words {
		if err := yield(word, vectors[i]); err != nil {
			return err
		}
	}
	return nil
}
