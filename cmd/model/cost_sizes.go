package main

import (
	"context"
	"regexp"

	"sparrow/cost"
	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/internal/cli"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// ofRun finds the tables that a training config has and a model's sizes have not.
var ofRun = regexp.MustCompile(`(?m)^\s*\[\[?\s*(model|data|train|eval|checkpoint|sample)\s*[.\]]`)

// loadSizes reads a model's sizes, or maps a training config to them; notes say what is then left out.
func loadSizes(file string) (m cost.Config, notes []string, err error) {
	text, err := data.ReadFile(file)
	if err != nil || !ofRun.Match(text) {
		m, err = cost.Load(file) // also says why a file cannot be read
		return m, nil, err
	}
	cfg, err := recipe.Load(file, nil)
	if err != nil {
		return m, nil, err
	}
	body, ok := cfg.Model.Body().(decoder.Config)
	if !ok {
		return m, nil, cli.Usagef("%s: [model] kind = %q; want a decoder, of which alone the cost is known", file, cfg.Model.Name)
	}
	made, _ := cfg.Data.Tokenizer()
	_, vocab, err := tokenizers.Known(context.Background(), made)
	if err != nil || vocab == 0 {
		notes = append(notes, "the vocabulary of tokenizer "+made.Tokenizer+" is not known here: parameters are without embeddings")
	}
	m = body.Sizes(vocab)
	m.Name = cfg.Name
	for _, l := range cfg.Model.Linear {
		if !l.Dense() {
			notes = append(notes, "factored layers count as the dense ones that model merge makes of them")
			break
		}
	}
	return m, notes, nil
}
