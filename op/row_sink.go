package op

import (
	"gorgonia.org/tensor"
)

// RowSink is a Sink that takes the gradient of a large matrix in blocks of rows
// and uses each before the next is computed, so that the whole never exists.
type RowSink interface {
	Sink
	// Rows is how many rows of the named parameter's gradient it takes at a time; 0:
	// all at once, by Gradient and Ready.
	Rows(name string) int
	// GradientRows returns the tensor for rows [lo, hi) of the gradient. Its contents
	// are undefined and are overwritten.
	GradientRows(name string, lo, hi int) *tensor.Dense
	// RowsReady says that these rows are complete. They come in ascending order, and
	// from the first on nothing in the run reads the parameter's value any more.
	RowsReady(name string, lo, hi int) error
}

// rowBlock is how many rows p's sink would take at a time; 0: all at once.
func (p Param) rowBlock() int {
	if s, ok := p.sink.(RowSink); ok {
		return s.Rows(p.name)
	}
	return 0
}

// inRows says whether p's gradient is delivered in blocks of rows. That of a
// parameter with several uses is summed whole; how many there are is known once
// the graph is complete.
func (p Param) inRows() bool { return p.wanted() && p.uses.total == 1 && p.rowBlock() > 0 }

// deliverRows has compute fill each block of rows in turn and hands it to the
// sink, in place of open and close.
func (p Param) deliverRows(compute func(dst *tensor.Dense, lo, hi int)) error {
	s, rows, block := p.sink.(RowSink), p.Shape()[0], p.rowBlock()
	for lo := 0; lo < rows; lo += block {
		hi := min(lo+block, rows)
		compute(s.GradientRows(p.name, lo, hi), lo, hi)
		if err := s.RowsReady(p.name, lo, hi); err != nil {
			return err
		}
	}
	return nil
}
