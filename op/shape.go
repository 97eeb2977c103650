package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ShapeError is what an operator panics with when a graph is built from nodes of
// the wrong shape: a programmer's error, which model.CatchShape turns into an error.
type ShapeError struct {
	Op   string // operator
	What string // operand
	Got  tensor.Shape
	Want string
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("op: %s: %s has shape %v, want %s", e.Op, e.What, e.Got, e.Want)
}

// matrix returns the rows and columns of a node that must be a matrix.
func matrix(op, what string, n *G.Node) (rows, cols int) {
	s := n.Shape()
	if len(s) != 2 {
		panic(&ShapeError{op, what, s, "[rows, columns]"})
	}
	return s[0], s[1]
}

// wantShape panics unless n has the given shape.
func wantShape(op, what string, n *G.Node, shape ...int) {
	if !n.Shape().Eq(tensor.Shape(shape)) {
		panic(&ShapeError{op, what, n.Shape(), fmt.Sprint(tensor.Shape(shape))})
	}
}
