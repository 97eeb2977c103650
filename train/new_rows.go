package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train/optim"
)

// newRows gives the rows of tokens that are new in init_from the learning rate that the config has for them.
func newRows(cfg recipe.Config, o optim.Optimizer, store *nn.Store) (optim.Optimizer, error) {
	factor := cfg.Train.NewRows
	if factor == nil {
		return o, nil
	}
	dir, err := saved.Find(cfg.Train.InitFrom, false)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	var extension struct {
		Tokens int   `json:"tokens"`
		New    []int `json:"new"`
	}
	path := filepath.Join(dir, saved.ExtensionFile)
	text, err := c.File(saved.ExtensionFile)
	if err != nil {
		return nil, fmt.Errorf("[train] new_rows_rate: %s says not which rows are new: want init_from a checkpoint of model extend: %w", dir, err)
	}
	if err := json.Unmarshal(text, &extension); err != nil {
		return nil, fmt.Errorf("[train] new_rows_rate: %s: %w", path, err)
	}
	last := 0
	for _, at := range extension.New {
		if at < last || at > extension.Tokens {
			return nil, fmt.Errorf("[train] new_rows_rate: %s: %d among the new rows is out of place; want ascending numbers up to %d", path, at, extension.Tokens)
		}
		last = at
	}
	body, _ := cfg.Model.Body().(model.Worded)
	if body == nil || len(extension.New)%2 == 1 {
		return nil, fmt.Errorf("[train] new_rows_rate: %s: want pairs of numbers, and a network with words", path)
	}
	names := body.PerWord()
	if words, l, ok := store.Words(); ok && !l.Rule.Dense() {
		names[0] = words + ".up.weight"
	}
	var tables []string
	for _, name := range names {
		switch shape := store.Shape(name); {
		case shape == nil: // a tied head
		case shape[0] < extension.Tokens:
			return nil, fmt.Errorf("[train] new_rows_rate: %s is of %d tokens, and %s has %d rows: want the tokenizer of init_from", path, extension.Tokens, name, shape[0])
		default:
			tables = append(tables, name)
		}
	}
	return optim.NewRowRates(o, store, tables, extension.New, *factor), nil
}
