package sentence

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"sparrow/task"
)

// prompts are what config_sentence_transformers.json says of the texts to put before others, by name.
type prompts struct {
	Named   map[string]string `json:"prompts"`
	Default string            `json:"default_prompt_name"`
}

// prompts are those of the model; none where the file is not there or cannot be read.
func (t *Task) prompts() (p prompts) {
	if t.files == nil {
		return p
	}
	text, err := t.files.File("config_sentence_transformers.json")
	if err != nil || json.Unmarshal(text, &p) != nil {
		return prompts{}
	}
	return p
}

// prompt is the text of a prompt; of the name "" the default's, if there is one.
func (t *Task) prompt(name string) (string, error) {
	p := t.prompts()
	if name == "" {
		return p.Named[p.Default], nil
	}
	text, ok := p.Named[name]
	switch {
	case !ok && len(p.Named) == 0:
		return "", task.Refusef("prompt %s: the model has no prompts", name)
	case !ok:
		return "", task.Refusef("prompt %s: the model has no such prompt; it has: %s", name, strings.Join(slices.Sorted(maps.Keys(p.Named)), ", "))
	}
	return text, nil
}

// first is the text of the first of some prompts that the model has; of none its default's. So sentence-transformers encodes
// queries and documents.
func (p prompts) first(names ...string) string {
	for _, name := range names {
		if text, ok := p.Named[name]; ok {
			return text
		}
	}
	return p.Named[p.Default]
}

// cut shortens vectors to their first n numbers, of a model that is trained for it, and gives them length 1 again if they had it.
func (t *Task) cut(x [][]float32, n int) ([][]float32, error) {
	if width := t.how.Width; n < 0 || n > width {
		return nil, task.Refusef("%d numbers of a vector are to be kept; want 1 to %d, or 0 for all", n, width)
	}
	if n == 0 {
		return x, nil
	}
	for i, v := range x {
		x[i] = v[:n:n]
		if t.how.Normalize {
			normalize(x[i])
		}
	}
	return x, nil
}

// before puts a prompt before texts.
func before(prompt string, texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = prompt + text
	}
	return out
}

// encoded are the tokens of texts. Longer ones are cut.
func (t *Task) encoded(texts []string) ([][]int, error) {
	encoder, err := t.encoder()
	if err != nil {
		return nil, err
	}
	tokens := make([][]int, len(texts))
	for i, text := range texts {
		x, err := encoder.Encode(text)
		if err != nil {
			return nil, &task.InputError{Index: i, Err: err}
		}
		tokens[i] = x.Tokens
	}
	return tokens, nil
}
