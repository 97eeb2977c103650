package model

import (
	"math"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// SentenceConfig is the [model.sentence] table: how an encoder makes one vector of a text's states (Reimers and Gurevych 2019).
type SentenceConfig struct {
	Pooling   string `toml:"pooling" doc:"mean of the states, the first one, or their sum over the root of their number" choices:"mean|cls|mean_sqrt"`
	Normalize bool   `toml:"normalize" doc:"vectors have length 1"`
	MaxTokens int    `toml:"max_tokens" doc:"longer texts are cut; 0: [model] context" unit:"tokens"`
	Pooler    bool   `toml:"keep_pooler" doc:"keep the layer before a classifier, which the vectors do not need"`
}

// Poolings are the ways to make a vector of a text's states.
var Poolings = []string{"mean", "cls", "mean_sqrt"}

// Validate reports a pooling that does not exist.
func (c SentenceConfig) Validate(r *configs.Report) {
	if !slices.Contains(Poolings, c.Pooling) {
		r.Errorf("pooling", "is unknown; want one of %s", strings.Join(Poolings, ", "))
	}
	if c.MaxTokens < 0 {
		r.Errorf("max_tokens", "is negative; want 0 or more")
	}
}

// Weights sets what share each of a text's tokens has in its vector: w[i] of token i, of which the first length count.
func (c SentenceConfig) Weights(w []float32, length int) {
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

// Sentences gives each text a vector: its states, weighted by the leaf shares [B*T, 1] and added up, as output embedding [B, D].
type Sentences struct {
	Body Sequence
	Text Text
	Kept Fixed // arrays that the vectors do not depend on
}

// sentences is the network of an encoder with that table.
func (c Config) sentences(text Text) Sentences {
	n := Sentences{Body: EncoderBody{c}, Text: text}
	if c.Sentence.Pooler {
		n.Kept = Fixed{
			{Name: "bert.pooler.dense.bias", Shape: []int{c.DModel}, Init: nn.Constant(0)},
			{Name: "bert.pooler.dense.weight", Shape: []int{c.DModel, c.DModel}, Init: nn.Normal(c.InitStd)},
		}
	}
	return n
}

// Build implements Network.
func (n Sentences) Build(g *Graph) error {
	if err := n.Text.Check(g.Shape); err != nil {
		return err
	}
	x, _ := n.Body.States(g, n.Text) // [B*T, D]
	shares := g.Floats("shares", g.Shape.Rows*g.Shape.Length, 1)
	g.Output("embedding", op.TimePool(g.Tape, shares, x, g.Shape.Rows, g.Shape.Length))
	return n.Kept.Build(g)
}

// Least implements Network.
func (n Sentences) Least() Shape { return Shape{Rows: 1, Length: 1} }
