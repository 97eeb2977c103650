package model

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// Shape is the size of a program's input; a size that a network lacks is 0.
type Shape struct {
	Rows          int // sequences or images
	Length        int // tokens of each sequence
	Height, Width int // pixels of each image
}

// Mode is what a program computes.
type Mode int

const (
	Train     Mode = iota // loss and gradients, with dropout
	Calibrate             // loss and gradients, without dropout, and with nothing computed twice
	Score                 // loss and outputs
	Infer                 // outputs; of a decoder over its caches
)

// Network is a body with a head and a loss. What is asked about a network follows
// from what Build declares.
type Network interface {
	// Build adds the network to a graph. It does the same each time.
	Build(g *Graph) error
	// Least is the smallest shape that declares every array.
	Least() Shape
}

// Text is what a body must know of the texts that it reads.
type Text struct {
	Vocab  int // of the tokenizer
	Length int // longest sequence, tokens
	Types  int // how many texts a sequence may consist of; 0 or 1: one
}

// Picture is what a body must know of the images that it sees.
type Picture struct {
	Channels      int // 3: colour, 1: grey
	Height, Width int // pixels
}

// Sequence is a body with a state for each token: a decoder or an encoder. Its
// leaf is tokens [B*T].
type Sequence interface {
	// States are [B*T, D]; scores maps states [N, D] to scores of the vocabulary
	// [N, V] by the body's own head, whose arrays it declares.
	States(g *Graph, t Text) (x *G.Node, scores func(x *G.Node) *G.Node)
	// Causal tells whether a state depends on the tokens up to its own alone.
	Causal() bool
}

// Reader is a body with a vector for each text. Its leaves are tokens [B*T] and
// lengths [B].
type Reader interface {
	// Pool is [B, D].
	Pool(g *Graph, t Text) *G.Node
	// Head maps it to [B, outputs].
	Head(g *Graph, x *G.Node, outputs int) *G.Node
}

// Viewer is a body with a vector for each image. Its leaf is pixels [B*H*W, channels],
// line by line.
type Viewer interface {
	// Pool is [B, D].
	Pool(g *Graph, p Picture) *G.Node
	// Head maps it to [B, outputs].
	Head(g *Graph, x *G.Node, outputs int) *G.Node
}

// Check refuses sequences that are longer than the network's.
func (t Text) Check(s Shape) error {
	if s.Length > t.Length {
		return fmt.Errorf("model: sequences of %d tokens; the network's context is %d", s.Length, t.Length)
	}
	return nil
}

// Check refuses images of another size than the network's.
func (p Picture) Check(s Shape) error {
	if s.Height != p.Height || s.Width != p.Width {
		return fmt.Errorf("model: images of %d x %d pixels; the network's have %d x %d", s.Height, s.Width, p.Height, p.Width)
	}
	return nil
}

// Fixed is a network of arrays alone: of what is solved, not trained.
type Fixed []Array

// Array is a name, a shape and initial values.
type Array struct {
	Name  string
	Shape []int
	Init  nn.Init
}

// Build implements Network.
func (f Fixed) Build(g *Graph) error {
	for _, a := range f {
		g.Weight(a.Name, a.Init, a.Shape...)
	}
	return nil
}

// Least implements Network.
func (f Fixed) Least() Shape { return Shape{} }

// Predict is the loss of scores [N, V]: the cross entropy to the leaf targets [N],
// of which op.Ignored counts nothing.
func Predict(g *Graph, logits *G.Node) {
	if g.Mode == Infer {
		return
	}
	targets := g.Ints("targets", logits.Shape()[0])
	g.Loss(func() *G.Node { return op.CrossEntropy(g.Tape, logits, targets) })
}

// Classify ends a network by scores of classes [B, C], the output logits, and
// their loss. Where soft is set, training has the leaf distribution [B, C] in place
// of targets: the share of each class, or zeros of a row that does not count.
func Classify(g *Graph, logits *G.Node, soft bool) {
	g.Output("logits", logits)
	if !soft || g.Mode == Score || g.Mode == Infer {
		Predict(g, logits)
		return
	}
	shares := g.Floats("distribution", logits.Shape()...)
	g.Loss(func() *G.Node { return op.SoftCrossEntropy(g.Tape, logits, shares) })
}

// Regress ends a network by one value for each row, the output logits [B, 1]. The
// loss is the squared error to the leaf truth [B], where the leaf targets [B] is not
// op.Ignored.
func Regress(g *Graph, value *G.Node) {
	g.Output("logits", value)
	if g.Mode == Infer {
		return
	}
	n := value.Shape()[0]
	targets, truth := g.Ints("targets", n), g.Floats("truth", n)
	g.Loss(func() *G.Node { return op.SquaredError(g.Tape, value, truth, targets) })
}
