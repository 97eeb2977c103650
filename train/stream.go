package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sparrow/data"
	"sparrow/kernel"
	"sparrow/model"
)

// stream is every task's Stream.
type stream struct {
	fill    func(batch int) (*model.Program, int, error)
	batches int // 0: no end
	done    int
	lengths func() []int
	order   order // of a stream without end
}

// order is a loader's place.
type order interface {
	Cursor() data.Cursor
	Seek(data.Cursor) error
}

func (s *stream) Next() (*model.Program, int, error) {
	if s.batches > 0 && s.done == s.batches {
		return nil, 0, io.EOF
	}
	s.done++
	return s.fill(s.done - 1)
}

func (s *stream) Batches() int { return s.batches }

func (s *stream) Lengths() []int {
	if s.lengths == nil {
		return nil
	}
	return s.lengths()
}

func (s *stream) Cursor() data.Cursor       { return s.order.Cursor() }
func (s *stream) Seek(at data.Cursor) error { return s.order.Seek(at) }

// program is that of a batch.
func (f Feed) program(s *model.Session, shape model.Shape) (*model.Program, error) {
	return s.Program(f.Mode, shape)
}

// prepare builds the programs of all shapes, from the largest down, so that all fit into the memory of the first.
func (f Feed) prepare(s *model.Session, shapes []model.Shape) error {
	for _, shape := range shapes {
		if _, err := f.program(s, shape); err != nil {
			return err
		}
	}
	return nil
}

// evaluate runs the batches of a stream, tells each about every run, and returns the mean loss and the number of targets.
// what is measured on is named where the loss is no number.
func evaluate(ctx context.Context, batches Stream, what string, m Measure, each func(p *model.Program, targets int)) (loss float64, targets int, err error) {
	var sum float64
	for i := 1; ; i++ {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		p, n, err := batches.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			return 0, 0, err
		}
		sum += p.Loss()
		targets += n
		if each != nil {
			each(p, n)
		}
		if m.After != nil {
			m.After(i, batches.Batches(), sum/float64(max(targets, 1)))
		}
	}
	if loss = sum / float64(max(targets, 1)); !kernel.Finite(loss) {
		err = fmt.Errorf("train: the loss on the %s is %v", what, loss)
	}
	return loss, targets, err
}
