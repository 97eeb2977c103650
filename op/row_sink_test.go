package op

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rowSink takes matrices in blocks of rows, in memory that is NaN before, and
// destroys a parameter's rows as soon as their gradient is ready, as an update
// would change them. It gathers the blocks in the memorySink that others deliver to.
type rowSink struct {
	*memorySink
	values map[string]*tensor.Dense
	block  int
	alive  *tensor.Dense
	blocks map[string]int // how many came
}

func (s *rowSink) Rows(name string) int {
	if s.grads[name].Dims() != 2 {
		return 0
	}
	return s.block
}

func (s *rowSink) GradientRows(name string, lo, hi int) *tensor.Dense {
	d := s.grads[name]
	s.alive = tensor.New(tensor.Of(d.Dtype()), tensor.WithShape(hi-lo, d.Shape()[1]))
	fill(s.alive, math.NaN())
	return s.alive
}

func (s *rowSink) RowsReady(name string, lo, hi int) error {
	width := s.alive.Shape()[1]
	switch g := s.grads[name]; g.Dtype() {
	case tensor.Float32:
		copy(g.Float32s()[lo*width:], s.alive.Float32s())
		destroy(s.values[name].Float32s()[lo*width : hi*width])
	default:
		copy(g.Float64s()[lo*width:], s.alive.Float64s())
		destroy(s.values[name].Float64s()[lo*width : hi*width])
	}
	s.blocks[name]++
	return s.fail
}

func destroy[T float32 | float64](x []T) {
	for i := range x {
		x[i] = T(math.NaN())
	}
}

// TestRows: gradients delivered in rows are those delivered whole, bit for bit,
// and no run reads a parameter once some of its rows are ready. A tied parameter
// has two uses and is delivered whole.
func TestRows(t *testing.T) {
	size := decoderSize{layers: 2, width: 8, hidden: 12, vocab: 11, batch: 2, length: 5}
	subjects := append(fanouts(), tied(), decoderOf(size), linearOf("linear with a bias", 5, 4, 7, true))
	size.checkpoint = true
	subjects = append(subjects, decoderOf(size))
	for _, s := range subjects {
		for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, block := range []int{1, 3, 100} {
				t.Run(s.name, func(t *testing.T) {
					want := s.compile(t, dtype).result(t)
					var sink *rowSink
					by := s
					by.build = func(g *graph) *G.Node {
						sink = &rowSink{memorySink: g.sink, values: g.floats, block: block, blocks: map[string]int{}}
						g.as = sink
						return s.build(g)
					}
					m := by.compile(t, dtype)
					sameResult(t, m.result(t), want, 0)
					for name, n := range sink.blocks {
						if rows := sink.grads[name].Shape()[0]; n != (rows+block-1)/block {
							t.Errorf("%s with %d rows came in %d blocks of %d", name, rows, n, block)
						}
						if slices.Contains(sink.ready, name) {
							t.Errorf("%s came in rows and as a whole", name)
						}
					}
				})
			}
		}
	}
}

// TestRowsError: the sink's error ends the run, and the bias, whose gradient is known already, stays as it is.
func TestRowsError(t *testing.T) {
	s := linearOf("linear", 5, 4, 7, true)
	build := s.build
	s.build = func(g *graph) *G.Node {
		g.as = &rowSink{memorySink: g.sink, values: g.floats, block: 2, blocks: map[string]int{}}
		return build(g)
	}
	m := s.compile(t, tensor.Float64)
	m.sink.fail = ErrUnreachable
	if err := m.run(); !errors.Is(err, ErrUnreachable) || strings.Count(err.Error(), ErrUnreachable.Error()) != 1 {
		t.Errorf("a run whose sink refused rows: %v, want that error once", err)
	}
	if len(m.sink.ready) > 0 {
		t.Errorf("%v were ready after that", m.sink.ready)
	}
}
