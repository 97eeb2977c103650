package recipe

import "sparrow/model"

// Dims are the sizes of a language model that follow from its data.
func (c Config) Dims(vocabSize int) model.Dims {
	context, _ := c.Model.bound()
	if context == 0 {
		context = c.Data.SeqLen()
	}
	return model.Dims{VocabSize: vocabSize, Context: context}
}

// Longest is how many tokens a text may have, prompt included; 0: any number.
func (c Config) Longest() int {
	if _, learned := c.Model.bound(); learned {
		return c.Dims(1).Context
	}
	return 0
}

// Room is how many tokens, up to most, may follow a prompt.
func (c Config) Room(prompt, most int) int {
	if n := c.Longest(); n > 0 {
		return min(most, n-prompt)
	}
	return most
}

// LabelledContext is the longest text, in tokens.
func (c Config) LabelledContext() int {
	if context, _ := c.Model.bound(); context > 0 {
		return context
	}
	return c.Data.Lengths().MaxLen
}
