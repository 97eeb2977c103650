package labelled

import (
	"fmt"

	"sparrow/data"
)

// Pair is two texts and how alike they are.
type Pair struct {
	Texts [2]string
	Score float64
}

// Pairs reads the pairs of another file with these columns.
func (s TSV) Pairs(path string) ([]Pair, error) {
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
	texts = texts.capExamples(s.MaxExamples)
	pairs := make([]Pair, len(texts.Scores))
	for i := range pairs {
		pairs[i] = Pair{[2]string{texts.Content(2 * i), texts.Content(2*i + 1)}, texts.Scores[i]}
	}
	return pairs, nil
}
