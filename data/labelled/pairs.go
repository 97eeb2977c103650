package labelled

import (
	"context"
	"fmt"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Pairs reads another file with these columns, of two texts and how alike they are; the texts are apart.
func (s Table) Pairs(ctx context.Context, path string, tokenizer tokenizers.Tokenizer) (*Examples, error) {
	s.Train, s.Regression = path, true
	if err := data.Check(s); err != nil {
		return nil, err
	}
	texts, _, err := s.readFile(path, nil)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !texts.Pairs {
		return nil, fmt.Errorf("data: %s: text_columns = %q names single texts; want the two of a pair", path, s.TextColumns)
	}
	return encodeExamples(ctx, texts.capExamples(s.MaxExamples), tokenizer, s.Lengths, true)
}
