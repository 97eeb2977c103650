package corpus

import (
	"errors"
	"slices"
	"testing"

	"sparrow/model"
)

// stored is a checkpoint that holds one file.
type stored string

func (s stored) File(name string) ([]byte, error) {
	if name != "generation_config.json" {
		return nil, errors.New("not there")
	}
	return []byte(s), nil
}

func (s stored) Dir() string { return "" }

// TestGeneration: generation_config.json is read as transformers reads it; what cannot be is not said.
func TestGeneration(t *testing.T) {
	own := model.Sampler{Temperature: 0.8, TopP: 1, Seed: 3}
	for _, c := range []struct {
		file string
		want model.Sampler
		ends []int
	}{
		{`{}`, own, nil},
		{`not JSON`, own, nil},
		{`{"eos_token_id": 2}`, own, []int{2}},
		{`{"eos_token_id": [5, 7], "temperature": 0.6}`, model.Sampler{Temperature: 0.6, TopP: 1, Seed: 3}, []int{5, 7}},
		{`{"eos_token_id": null, "do_sample": true}`, model.Sampler{Temperature: 1, TopK: 50, Seed: 3}, nil},
		{`{"do_sample": false, "temperature": 0.6}`, model.Sampler{Seed: 3}, nil},
		{`{"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.05}`,
			model.Sampler{Temperature: 0.7, TopP: 0.8, TopK: 20, MinP: 0.05, RepetitionPenalty: 1.05, Seed: 3}, nil},
		{`{"temperature": -1, "top_p": 7, "top_k": -3, "min_p": 2, "repetition_penalty": 0}`, own, nil},
		{`{"temperature": 1e999}`, own, nil},
	} {
		g := (&Corpus{files: stored(c.file)}).Generation()
		if got := g.Sampling(own); got != c.want || !slices.Equal(g.Ends, c.ends) {
			t.Errorf("%s: %+v, ends %v; want %+v, %v", c.file, got, g.Ends, c.want, c.ends)
		}
	}
	if got := (&Corpus{}).Generation().Sampling(own); got != own {
		t.Errorf("no file: %+v", got)
	}
}
