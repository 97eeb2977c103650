package model

import (
	"fmt"

	"sparrow/op"
)

// Distilled blends the loss of a network's training with the distance of an output
// to a teacher's, which [Teach] feeds; see [op.Distill], and of the vectors of a
// sentence encoder [op.DistillVectors].
type Distilled struct {
	Network
	Output      string
	Weight      float64 // w, of the distance; 1-w is the task's
	Temperature float64 // T, by which both networks' scores are divided; vectors have none
}

// Lesson is the output that a network learns from a teacher's: scores, or vectors.
func Lesson(n Network) string {
	if _, ok := n.(Sentences); ok {
		return vectorOutput
	}
	return "logits"
}

// Build implements Network.
func (d Distilled) Build(g *Graph) error {
	if err := d.Network.Build(g); err != nil || g.Mode != Train {
		return err
	}
	x, ok := g.outputs[d.Output]
	if !ok {
		return fmt.Errorf("model: the network has no output %q to distil", d.Output)
	}
	shape := x.Shape()
	teacher, counts := g.Floats("teacher", shape...), g.Floats("counts", shape[0])
	if d.Output == vectorOutput {
		g.loss = op.DistillVectors(g.Tape, g.loss, x, teacher, counts, d.Weight)
	} else {
		g.loss = op.Distill(g.Tape, g.loss, x, teacher, counts, d.Weight, d.Temperature)
	}
	return nil
}

// Teach gives a training program of a [Distilled] network what a teacher puts out
// for what the program has been fed: the teacher's scoring program of that shape is
// run for it, with all leaves that both have. Outputs of another shape are an error.
func Teach(p *Program, teacher *Session, output string) error {
	q, err := teacher.Program(Score, p.Shape, output)
	if err != nil {
		return err
	}
	x := named("output", output, q.g.outputs)
	to := p.Floats("teacher")
	if got, want := x.Shape(), to.d.Shape(); !got.Eq(want) || q.g.Tape.Dtype != p.g.Tape.Dtype {
		return fmt.Errorf("model: the teacher gives %s of shape %v, want the student's %v", output, got, want)
	}
	for name, l := range q.g.ints {
		if p.g.ints[name] != nil {
			copy(l.data.Ints(), p.Ints(name))
		}
	}
	for name := range q.g.floats {
		if p.g.floats[name] != nil {
			if err := q.Floats(name).Copy(p.Floats(name)); err != nil {
				return err
			}
		}
	}
	if err := q.Run(); err != nil {
		return err
	}
	counts := p.Floats("counts")
	for i := range counts.Count {
		counts.Put(i, 0, p.count(i, counts.Count))
	}
	return to.Copy(q.Output(output))
}

// count is how much row i of so many counts in the loss of the task: of shares, their
// sum. A target may be that of several rows, which are next to each other.
func (p *Program) count(i, rows int) float64 {
	if p.g.floats["distribution"] == nil {
		if targets := p.Ints("targets"); targets[i*len(targets)/rows] == op.Ignored {
			return 0
		}
		return 1
	}
	shares, sum := p.Floats("distribution"), 0.0
	for j := range shares.Width {
		sum += shares.At(i, j)
	}
	return sum
}
