package model

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/op"
)

// Distill blends the loss of training programs with the distance to a teacher's scores; see [op.Distill].
type Distill struct {
	Weight      float64 // w, of the distance; 1-w is the task's
	Temperature float64 // T, by which both networks' scores are divided
}

// distill replaces a training program's loss by the blend.
func (s *Session) distill(p *Program) error {
	d := s.opts.Distill
	if s.dims.Regression {
		return fmt.Errorf("model: a regression has no classes whose probabilities a teacher could tell")
	}
	t, shape := p.tape, p.logits.Shape()
	p.teacher = tensor.New(tensor.Of(t.Dtype), tensor.WithShape(shape.Clone()...))
	p.counts = tensor.New(tensor.Of(t.Dtype), tensor.WithShape(shape[0]))
	p.loss = op.Distill(t, p.loss, p.logits, t.Input("teacher", p.teacher), t.Input("counts", p.counts), d.Weight, d.Temperature)
	return nil
}

// Teach gives a training program of a session with Options.Distill the scores that a teacher has for what it has been fed:
// the teacher's scoring program of that shape, of a session with Options.Scores, is run for them. Networks of other scores
// are an error.
func (p *Program) Teach(teacher *Session) error {
	q, err := teacher.Score(p.Batch, p.SeqLen)
	if err != nil {
		return err
	}
	if got, want := q.logits.Shape(), p.teacher.Shape(); !got.Eq(want) || q.tape.Dtype != p.tape.Dtype {
		return fmt.Errorf("model: the teacher gives scores of shape %v, want the student's %v", got, want)
	}
	copy(q.tokens, p.tokens)
	copy(q.types, p.types)
	copy(q.lengths, p.lengths)
	copy(q.rows, p.rows)
	copy(q.targets, p.targets)
	if p.pixels != nil {
		if err := tensor.Copy(q.pixels, p.pixels); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	if err := q.Run(); err != nil {
		return err
	}
	for i := range p.counts.Shape()[0] {
		setAt(p.counts, i, p.count(i))
	}
	if err := tensor.Copy(p.teacher, q.logits.Value().(*tensor.Dense)); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// count is how much row i of the scores counts in the loss of the task: an image's share of a target.
func (p *Program) count(i int) float64 {
	if p.soft == nil {
		if p.targets[i] == op.Ignored {
			return 0
		}
		return 1
	}
	classes, sum := p.soft.Shape()[1], 0.0
	for j := range classes {
		if p.soft.Dtype() == tensor.Float32 {
			sum += float64(p.soft.Float32s()[i*classes+j])
		} else {
			sum += p.soft.Float64s()[i*classes+j]
		}
	}
	return sum
}

func setAt(d *tensor.Dense, i int, x float64) {
	if d.Dtype() == tensor.Float32 {
		d.Float32s()[i] = float32(x)
	} else {
		d.Float64s()[i] = x
	}
}
