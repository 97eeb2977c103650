package op

import "gorgonia.org/tensor"

// SparseSink is a Sink that takes the gradient of a large table by the rows that are not zero.
type SparseSink interface {
	Sink
	// SparseRows takes the whole gradient of the named parameter: that of each of these rows, which ascend, is a row of values. It
	// keeps neither.
	SparseRows(name string, rows []int, values *tensor.Dense) error
}

// sparse is p's sink where it takes rows; nil: it does not, or p has several uses, whose gradients meet in one table.
func (p Param) sparse() SparseSink {
	s, ok := p.sink.(SparseSink)
	if !ok || p.uses.total > 1 {
		return nil
	}
	return s
}
