package corpus

import (
	"encoding/json"

	"sparrow/kernel"
	"sparrow/model"
)

// Generation is what an imported model's generation_config.json says of how it writes.
type Generation struct {
	Ends []int // tokens that end a text

	said settings
}

// settings are the keys of the file that are honoured; nil: not said.
type settings struct {
	End         json.RawMessage `json:"eos_token_id"`
	Draws       *bool           `json:"do_sample"`
	Temperature *float64        `json:"temperature"`
	TopK        *int            `json:"top_k"`
	TopP        *float64        `json:"top_p"`
	MinP        *float64        `json:"min_p"`
	Penalty     *float64        `json:"repetition_penalty"`
}

// Generation reads it; it says nothing where there is none, and a value that cannot be is as one that is not said.
func (c *Corpus) Generation() (g Generation) {
	if c.files == nil {
		return g
	}
	text, err := c.files.File("generation_config.json")
	if err != nil || json.Unmarshal(text, &g.said) != nil {
		return Generation{}
	}
	var one int
	if json.Unmarshal(g.said.End, &one) == nil && string(g.said.End) != "null" {
		g.Ends = []int{one}
	} else if json.Unmarshal(g.said.End, &g.Ends) != nil {
		g.Ends = nil
	}
	return g
}

// defaultTopK is what transformers takes for top_k where a model draws and does not say.
const defaultTopK = 50

// Sampling is how the model's makers want its tokens chosen, as transformers reads it: do_sample = true draws, with temperature 1
// and the 50 likeliest where nothing else is said, false takes the likeliest. Of what they do not say it is otherwise.
func (g Generation) Sampling(otherwise model.Sampler) model.Sampler {
	s := otherwise
	if draws := g.said.Draws; draws != nil {
		if s = (model.Sampler{Seed: s.Seed}); *draws {
			s.Temperature, s.TopK = 1, defaultTopK
		}
	}
	if x := g.said.Temperature; x != nil && *x > 0 && kernel.Finite(*x) && (g.said.Draws == nil || *g.said.Draws) {
		s.Temperature = *x
	}
	if n := g.said.TopK; n != nil && *n >= 0 {
		s.TopK = *n
	}
	if x := g.said.TopP; x != nil && *x > 0 && *x <= 1 {
		s.TopP = *x
	}
	if x := g.said.MinP; x != nil && *x >= 0 && *x <= 1 {
		s.MinP = *x
	}
	if x := g.said.Penalty; x != nil && *x > 0 && kernel.Finite(*x) {
		s.RepetitionPenalty = *x
	}
	return s
}
