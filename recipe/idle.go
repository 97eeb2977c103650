package recipe

import "path/filepath"

// Idle are the keys, by their full names, that change nothing in this config because of what others say: the decay of a schedule that has
// none, the vocabulary of a tokenizer of bytes.
func (c Config) Idle() map[string]bool {
	idle := map[string]bool{}
	add := func(yes bool, keys ...string) {
		for _, key := range keys {
			if yes {
				idle[key] = true
			}
		}
	}
	t := c.Train
	add(t.Optimizer != "adamw8bit", "train.adam_block_size")
	add(t.Schedule != "wsd", "train.decay_steps")
	add(t.Schedule == "constant", "train.min_lr_ratio")
	add(t.Epochs != nil, "train.steps")
	add(t.InitFrom == "", "train.init_from")
	if tokens, ok := c.Data.Tokenizer(); ok {
		k := tokens.Tokenizer
		vocab := filepath.Ext(k) == ".txt"
		add(k != "bpe" && k != "wordpiece" && k != "word", "data.vocab_size")
		add(k != "word", "data.min_count", "data.vectors")
		add(k != "word" && k != "wordpiece" && !vocab, "data.lowercase")
	}
	_, text := c.Data.Text()
	add(!text, "eval.tokens")
	add(text, "eval.examples")
	add(c.Sample.Prompt == "", "sample.tokens", "sample.temperature", "sample.top_p")
	add(!text, "sample")
	if s, ok := c.Data.Of.(interface{ HoldsOut() bool }); ok {
		add(!s.HoldsOut(), "data.validation_share")
	}
	return idle
}
