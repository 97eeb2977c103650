package task

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sparrow/data"
	"sparrow/kernel"
	"sparrow/model"
)

// Elements are the tokens or pixels of a row.
func Elements(s model.Shape) int {
	if s.Height > 0 {
		return s.Height * s.Width
	}
	return s.Length
}

// Batches feeds the session's programs with those of a task. It is an error that matches ErrUsage of one that has none.
func Batches(ctx context.Context, t Task, s *model.Session, f Feed) (Stream, error) {
	x, ok := t.(Stepped)
	if !ok {
		return nil, Refusef("the task is solved in rounds: it feeds no batches")
	}
	return x.Batches(ctx, s, f)
}

// Feeder is every task's Stream.
type Feeder struct {
	Fill  func(batch int) (*model.Program, int, error) // feeds a batch, which counts from 0, and tells its targets
	N     int                                          // batches; 0: no end
	Rows  func() []int                                 // lengths of the rows of the last batch; nil: all count
	Order Order                                        // of a stream without end

	done int
}

// Order is a loader's place.
type Order interface {
	Cursor() data.Cursor
	Seek(data.Cursor) error
}

// Next implements Stream.
func (s *Feeder) Next() (*model.Program, int, error) {
	if s.N > 0 && s.done == s.N {
		return nil, 0, io.EOF
	}
	s.done++
	return s.Fill(s.done - 1)
}

// Batches implements Stream.
func (s *Feeder) Batches() int { return s.N }

// Lengths implements Stream.
func (s *Feeder) Lengths() []int {
	if s.Rows == nil {
		return nil
	}
	return s.Rows()
}

// Cursor implements Stream.
func (s *Feeder) Cursor() data.Cursor { return s.Order.Cursor() }

// Seek implements Stream.
func (s *Feeder) Seek(at data.Cursor) error { return s.Order.Seek(at) }

// Program is that of a batch.
func (f Feed) Program(s *model.Session, shape model.Shape) (*model.Program, error) {
	return s.Program(f.Mode, shape)
}

// Prepare builds the programs of all shapes, from the largest down, so that all fit into the memory of the first.
func (f Feed) Prepare(s *model.Session, shapes []model.Shape) error {
	for i, shape := range shapes {
		p, err := f.Program(s, shape)
		if err != nil {
			return err
		}
		if i == 0 {
			p.Reserve()
		}
	}
	return nil
}

// Evaluate runs the batches of a stream, tells each about every run, and returns the mean loss and the number of targets.
// what is measured on is named where the loss is no number.
func Evaluate(ctx context.Context, batches Stream, what string, m Measure, each func(p *model.Program, targets int)) (loss float64, targets int, err error) {
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
