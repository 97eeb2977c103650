package train

import (
	"fmt"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
)

// MemoryPlan is what a run will need, in bytes, computed from shapes alone.
type MemoryPlan struct {
	Weights     int
	Gradients   int
	Optimizer   int
	Activations int // of the largest graph, with buffers shared by liveness
}

// PlanMemory builds the training graph of cfg without any memory behind it.
func PlanMemory(cfg Config, vocabSize int) (MemoryPlan, error) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	sink := nn.NewGradients(store)
	s, err := model.NewSession(cfg.Model, cfg.dims(vocabSize), store, model.Options{Sink: sink, Frozen: cfg.Train.frozen})
	if err != nil {
		return MemoryPlan{}, err
	}
	p, err := s.Train(cfg.Train.BatchSize, cfg.Data.SeqLen)
	if err != nil {
		return MemoryPlan{}, err
	}
	m := MemoryPlan{Weights: store.Bytes(), Activations: p.ActivationBytes()}
	for _, name := range store.Names() {
		if !cfg.Train.frozen(name) {
			m.Gradients += store.Shape(name).TotalSize() * int(store.Dtype.Size())
		}
	}
	m.Optimizer = 2 * m.Gradients
	return m, nil
}

// Total is the sum of all parts.
func (m MemoryPlan) Total() int { return m.Weights + m.Gradients + m.Optimizer + m.Activations }

// Summary is the plan in one line.
func (m MemoryPlan) Summary() string {
	return fmt.Sprintf("memory %s: weights %s, gradients %s, optimizer %s, activations %s",
		megabytes(m.Total()), megabytes(m.Weights), megabytes(m.Gradients), megabytes(m.Optimizer), megabytes(m.Activations))
}

// Table is the plan as lines of a table.
func (m MemoryPlan) Table() string {
	var b strings.Builder
	for _, row := range []struct {
		name  string
		bytes int
	}{{"weights", m.Weights}, {"gradients", m.Gradients}, {"optimizer", m.Optimizer}, {"activations", m.Activations}, {"total", m.Total()}} {
		fmt.Fprintf(&b, "  %-12s %10s\n", row.name, megabytes(row.bytes))
	}
	return b.String()
}

func megabytes(n int) string {
	if n < 10e6 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}

// fits refuses a plan that is larger than the memory of this machine; available
// = 0 means that it is not known.
func (m MemoryPlan) fits(available int) error {
	if available == 0 || m.Total() <= available {
		return nil
	}
	return fmt.Errorf("the run needs %s of memory and this machine has %s:\n%stry a smaller batch_size or d_model, or checkpoint_activations = true",
		megabytes(m.Total()), megabytes(available), m.Table())
}
