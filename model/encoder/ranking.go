package encoder

import (
	"sparrow/configs"
	"sparrow/model"
)

// Ranking is the [model.ranking] table: how an encoder scores a pair of a query and a candidate, and learns from lists of candidates.
type Ranking struct {
	Head string `toml:"head" doc:"what a score is made of: a linear map of the first token's pooled state, or the product of the mean states of the two texts, whose score matrices have fewer directions (Yadav et al. 2022)" choices:"cls|emb"`
	Loss string `toml:"loss" doc:"softmax cross entropy of the list of candidates, or logistic of each pair" choices:"softmax|binary"`
}

// SetDefaults implements configs.Defaulter.
func (c *Ranking) SetDefaults() { *c = Ranking{Head: "cls", Loss: "softmax"} }

// Validate reports what does not exist.
func (c Ranking) Validate(r *configs.Report) {
	r.OneOf("head")
	r.OneOf("loss")
}

// Candidates implements model.RankedBody.
func (c Config) Candidates(text model.Text) (n model.Candidates, ok bool) {
	if c.Ranking == nil {
		return n, false
	}
	n = model.Candidates{Text: text, Binary: c.Ranking.Loss == "binary"}
	if c.Ranking.Head == "emb" {
		n.Spans, n.Width = c, c.DModel
	} else {
		n.Reader = c
	}
	return n, true
}
