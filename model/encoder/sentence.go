package encoder

import (
	"math"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
)

// Sentence is the [model.sentence] table: how an encoder makes one vector of a text's states (Reimers and Gurevych 2019).
type Sentence struct {
	Pooling     string   `toml:"pooling" doc:"mean of the states, the first one, or their sum over the root of their number" choices:"mean|cls|mean_sqrt"`
	Normalize   bool     `toml:"normalize" doc:"vectors have length 1"`
	MaxTokens   int      `toml:"max_tokens" doc:"longer texts are cut; 0: [model] context" unit:"tokens"`
	MaxScore    float64  `toml:"max_score" doc:"score of two texts that mean the same, by which scores are divided before they are compared with cosines; 0: the largest of the training data, or 1 if that is less"`
	Temperature *float64 `toml:"temperature" doc:"with it a pair whose score is at least half of the largest is told from the other pairs of its batch (InfoNCE), at that temperature, such as 0.05; left out: cosines are compared with scores"`
	Pooler      bool     `toml:"keep_pooler" doc:"keep the layer before a classifier, which the vectors do not need"`
}

// Poolings are the ways to make a vector of a text's states.
var Poolings = []string{"mean", "cls", "mean_sqrt"}

// Validate reports a pooling that does not exist.
func (c Sentence) Validate(r *configs.Report) {
	r.OneOf("pooling")
	if c.MaxTokens < 0 {
		r.Errorf("max_tokens", "is negative; want 0 or more")
	}
	if t := c.Temperature; t != nil {
		r.Within("temperature", *t > 0 && *t <= 100, "more than 0 and at most 100")
	}
	r.Within("max_score", c.MaxScore >= 0 && !math.IsInf(c.MaxScore, 1), "0 or more")
}

// Weights sets what share each of a text's tokens has in its vector: w[i] of token i, of which the first length count.
func (c Sentence) Weights(w []float32, length int) {
	clear(w)
	for i := range length {
		switch c.Pooling {
		case "mean":
			w[i] = 1 / float32(length)
		case "mean_sqrt":
			w[i] = 1 / float32(math.Sqrt(float64(length)))
		}
	}
	if c.Pooling == "cls" {
		w[0] = 1
	}
}

// Sentences implements model.Sentenced.
func (c Config) Sentences(text model.Text) (n model.Sentences, ok bool) {
	if c.Sentence == nil {
		return n, false
	}
	n = model.Sentences{Body: c, Text: text, Width: c.DModel, Longest: c.Sentence.MaxTokens, MaxScore: c.Sentence.MaxScore, Normalize: c.Sentence.Normalize, Shares: c.Sentence.Weights}
	if c.Sentence.Temperature != nil {
		n.Temperature = *c.Sentence.Temperature
	}
	if c.Sentence.Pooler {
		n.Kept = model.Fixed{
			{Name: "bert.pooler.dense.bias", Shape: []int{c.DModel}, Init: nn.Constant(0)},
			{Name: "bert.pooler.dense.weight", Shape: []int{c.DModel, c.DModel}, Init: nn.Normal(c.InitStd)},
		}
	}
	return n, true
}
