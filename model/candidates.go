package model

import (
	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// Candidates gives each pair of a query and a candidate a score, output logits [B, 1]. It trains on lists: rows n*Count to
// (n+1)*Count - 1 are the candidates of one query, the first of which answers it. With Binary its loss is the logistic one of each pair,
//
//	-(Count-1) log σ(s_0) - Σ_j log σ(-s_j),
//
// in which the answer weighs as much as all others, and otherwise the softmax cross entropy of the list, log Σ_j exp s_j - s_0. In Score and Infer it has no loss, so that rows may be
// any pairs.
type Candidates struct {
	Text  Text
	Count int // candidates of a query

	// The score is a linear map of what Reader pools, or, with Spans, the product of the mean states of the two texts over the root of
	// their width: leaves query and item [B*T, 1] have each token's share in them (Yadav et al. 2022, the [EMB] head).
	Reader Reader
	Spans  Sequence

	Width  int // of the states, of Spans
	Binary bool
}

// RankedBody is a body that can score pairs that are trained in lists.
type RankedBody interface {
	// Candidates is the network that does; ok is false where the config does not ask for it.
	Candidates(t Text) (n Candidates, ok bool)
}

// Build implements Network.
func (n Candidates) Build(g *Graph) error {
	if err := n.Text.Check(g.Shape); err != nil {
		return err
	}
	rows := g.Shape.Rows
	var scores *G.Node // [B, 1]
	if n.Spans != nil {
		x, _ := n.Spans.States(g, n.Text) // [B*T, D]
		mean := func(leaf string) *G.Node {
			return op.TimePool(g.Tape, g.Floats(leaf, rows*g.Shape.Length, 1), x, rows, g.Shape.Length) // [B, D]
		}
		scores = op.Dots(g.Tape, mean("query"), mean("item"))
	} else {
		scores = n.Reader.Head(g, n.Reader.Pool(g, n.Text), 1)
	}
	g.Output("logits", scores)
	if g.Mode == Train || g.Mode == Calibrate {
		g.Loss(func() *G.Node {
			lists := op.Reshape(g.Tape, scores, rows/n.Count, n.Count) // [B/Count, Count]
			if !n.Binary {
				return op.CrossEntropy(g.Tape, lists, g.Ints("targets", rows/n.Count))
			}
			return op.Ranking(g.Tape, "bpo", 0, lists, nil)
		})
	}
	return nil
}

// Least implements Network.
func (n Candidates) Least() Shape { return Shape{Rows: n.Count, Length: 1} }
