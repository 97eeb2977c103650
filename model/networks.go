package model

import (
	"fmt"

	"sparrow/op"
)

// Shapes: B rows, T tokens each, D model width, V vocabulary, M = B MaskedTokens(T) tokens to predict.

// Language predicts each token of a text from those before it: leaves tokens and
// targets [B*T], output logits [B*T, V], which is offered. In Infer, over caches, its output is that
// of each sequence's last token, the row that the leaf last [B] names, [B, V].
type Language struct {
	Body Sequence
	Text Text
}

// Build implements Network.
func (n Language) Build(g *Graph) error {
	if g.Mode != Infer {
		if err := n.Text.Check(g.Shape); err != nil {
			return err
		}
	}
	x, scores := n.Body.States(g, n.Text) // [B*T, D]
	if g.Mode == Infer {
		x = op.Rows(g.Tape, x, g.Ints("last", g.Shape.Rows)) // [B, D]
	}
	logits := scores(x)
	g.Offer("logits", logits)
	Predict(g, logits)
	return nil
}

// Least implements Network.
func (n Language) Least() Shape { return Shape{Rows: 1, Length: 1} }

// Ends scores what follows each row's last token alone, [B, V]: output logits. It has no loss.
type Ends struct {
	Body Sequence
	Text Text
}

// Build implements Network.
func (n Ends) Build(g *Graph) error {
	if err := n.Text.Check(g.Shape); err != nil {
		return err
	}
	ends := make([]int, g.Shape.Rows)
	for i := range ends {
		ends[i] = (i+1)*g.Shape.Length - 1
	}
	x, scores := n.Body.States(g, n.Text)
	g.Output("logits", scores(op.Rows(g.Tape, x, g.Constant("ends", ends))))
	return nil
}

// Least implements Network.
func (n Ends) Least() Shape { return Shape{Rows: 1, Length: 1} }

// MaskedTokens is how many tokens of a sequence a masked language model
// predicts: 15% (Devlin et al. 2018, section 3.1), and at least one.
func MaskedTokens(seqLen int) int { return max(1, (15*seqLen+50)/100) }

// Masked predicts tokens of a text that were hidden from all others: the leaf rows
// [M] has their places, targets [M] what stood there; output logits [M, V], which is offered.
type Masked struct {
	Body Sequence
	Text Text
}

// Build implements Network.
func (n Masked) Build(g *Graph) error {
	if err := n.Text.Check(g.Shape); err != nil {
		return err
	}
	x, scores := n.Body.States(g, n.Text)                                             // [B*T, D]
	x = op.Rows(g.Tape, x, g.Ints("rows", g.Shape.Rows*MaskedTokens(g.Shape.Length))) // [M, D]
	logits := scores(x)
	g.Offer("logits", logits)
	Predict(g, logits)
	return nil
}

// Least implements Network.
func (n Masked) Least() Shape { return Shape{Rows: 1, Length: 1} }

// Labels gives each text a class of Classes, or with none a number.
type Labels struct {
	Body    Reader
	Text    Text
	Classes int
}

// Build implements Network.
func (n Labels) Build(g *Graph) error {
	if err := n.Text.Check(g.Shape); err != nil {
		return err
	}
	x := n.Body.Pool(g, n.Text) // [B, D]
	if n.Classes == 0 {
		Regress(g, n.Body.Head(g, x, 1))
		return nil
	}
	Classify(g, n.Body.Head(g, x, n.Classes), false)
	return nil
}

// Least implements Network.
func (n Labels) Least() Shape { return Shape{Rows: 1, Length: 1} }

// Images gives each image a class of Classes. It trains on distributions.
type Images struct {
	Body    Viewer
	Picture Picture
	Classes int
}

// Build implements Network.
func (n Images) Build(g *Graph) error {
	if err := n.Picture.Check(g.Shape); err != nil {
		return err
	}
	if n.Classes < 1 {
		return fmt.Errorf("model: images in %d classes; want at least 1", n.Classes)
	}
	Classify(g, n.Body.Head(g, n.Body.Pool(g, n.Picture), n.Classes), true)
	return nil
}

// Least implements Network.
func (n Images) Least() Shape {
	return Shape{Rows: 1, Height: n.Picture.Height, Width: n.Picture.Width}
}
