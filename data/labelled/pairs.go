package labelled

import "fmt"

// Pair is two texts and how alike they are.
type Pair struct {
	Texts [2]string
	Score float64
}

// ReadPairs reads the pairs of a file of source "tsv".
func ReadPairs(cfg Config, path string) ([]Pair, error) {
	cfg.Source, cfg.Train, cfg.Tokenizer, cfg.Vectors, cfg.Root, cfg.Regression = "tsv", path, "byte", "", "", true
	if err := cfg.check(); err != nil {
		return nil, err
	}
	texts, _, err := readTSV(path, cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !texts.pairs {
		return nil, fmt.Errorf("data: %s: text_columns = %q names single texts; want the two of a pair", path, cfg.TextColumns)
	}
	texts = texts.capExamples(cfg.MaxExamples)
	pairs := make([]Pair, len(texts.scores))
	for i := range pairs {
		pairs[i] = Pair{[2]string{texts.Content(2 * i), texts.Content(2*i + 1)}, texts.scores[i]}
	}
	return pairs, nil
}
