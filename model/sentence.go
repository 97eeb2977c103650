package model

import "sparrow/op"

// Sentences gives each text a vector: its states, weighted by the leaf shares [B*T, 1] and added up, as output embedding [B, D].
type Sentences struct {
	Body Sequence
	Text Text
	Kept Fixed // arrays that the vectors do not depend on
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
