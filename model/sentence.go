package model

import (
	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// Sentences gives each text a vector: its states, weighted by the leaf shares [B*T, 1] and added up, as output embedding [B, D].
// It trains, and is calibrated, on pairs of texts, rows 2n and 2n+1: its loss is the squared difference between the cosine of
// their vectors and the leaf truth [B/2], of pairs whose mark in the leaf targets [B/2] is not op.Ignored (Reimers and Gurevych
// 2019, the regression objective). With a Temperature it is InfoNCE over the pairs with a mark instead, see op.InfoNCE: each text is to
// be told from the others of the batch by the one that it is paired with. In Score and Infer it has no loss, so that rows may be any texts.
type Sentences struct {
	Body Sequence
	Text Text
	Kept Fixed // arrays that the vectors do not depend on

	Width     int     // D, of the vectors
	Longest   int     // longer texts are cut; 0: to what the body reads
	MaxScore  float64 // of two texts that mean the same; 0: the largest of the training data, or 1 if that is less
	Normalize bool    // vectors have length 1

	Temperature float64                       // divides the cosines of InfoNCE; 0: cosines are regressed on scores
	Shares      func(w []float32, length int) // sets what share each of a text's tokens has: w[i] of token i, of which the first length count
}

// vectorOutput is the output that has the vectors.
const vectorOutput = "embedding"

// Build implements Network.
func (n Sentences) Build(g *Graph) error {
	if err := n.Text.Check(g.Shape); err != nil {
		return err
	}
	x, _ := n.Body.States(g, n.Text) // [B*T, D]
	shares := g.Floats("shares", g.Shape.Rows*g.Shape.Length, 1)
	vectors := op.TimePool(g.Tape, shares, x, g.Shape.Rows, g.Shape.Length) // [B, D]
	g.Output(vectorOutput, vectors)
	if g.Mode == Train || g.Mode == Calibrate {
		g.Loss(func() *G.Node {
			if n.Temperature > 0 {
				return contrast(g, vectors, n.Temperature)
			}
			cosines := op.PairCosines(g.Tape, vectors) // [B/2, 1]
			pairs := g.Shape.Rows / 2
			return op.SquaredError(g.Tape, cosines, g.Floats("truth", pairs), g.Ints("targets", pairs))
		})
	}
	return n.Kept.Build(g)
}

// Least implements Network.
func (n Sentences) Least() Shape { return Shape{Rows: 1, Length: 1} }

// contrast is InfoNCE of pairs in rows 2n and 2n+1.
func contrast(g *Graph, vectors *G.Node, temperature float64) *G.Node {
	pairs := g.Shape.Rows / 2
	order := make([]int, 2*pairs) // first all first texts, then all second ones
	for i := range pairs {
		order[i], order[pairs+i] = 2*i, 2*i+1
	}
	x := op.Rows(g.Tape, vectors, g.Constant("views", order)) // [B, D]
	return op.InfoNCE(g.Tape, x, g.Ints("targets", pairs), temperature, 1)
}
