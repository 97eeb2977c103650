package train

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train/optim"
	"sparrow/train/shard"
	"sparrow/train/stf"
)

// MemoryPlan is what a run will need, in bytes, computed from shapes alone.
type MemoryPlan struct {
	Weights     int
	Indices     int // of sparse layers: their places, and where each row of them begins, which a program keeps
	Gradients   int
	Optimizer   int
	Averages    int // of the weights
	Latents     int // values of [train.stf]
	Teacher     int // of [train.distill]: its weights and activations
	Activations int // of the largest graph, with buffers shared by liveness
	Corpus      int // the text; its tokens take as much or less
	Program     int // code, runtime, graphs and garbage that is not collected yet
}

// planMemory builds the training graph of a network for its largest batches, without any memory behind it.
func planMemory(cfg recipe.Config, dims model.Dims, largest model.Shape, o saved.Options) (MemoryPlan, error) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	sink := nn.NewLayerGradients(store) // only counts, since the store is virtual
	n, err := networkOf(cfg, dims)
	if err != nil {
		return MemoryPlan{}, err
	}
	latent, opts := stf.New(cfg.Train, store), cfg.Model.Represented(model.Options{Sink: sink, Frozen: cfg.Train.Frozen, Sites: stageOutputs(cfg.Model.Body())})
	latent.Apply(&opts)
	s, err := model.NewSession(n, store, opts)
	if err != nil {
		return MemoryPlan{}, err
	}
	if err := checkFreeze(cfg.Train, store.Names()); err != nil {
		return MemoryPlan{}, err
	}
	if cfg.Train.STF != nil {
		if _, err := stf.Layers(cfg.Train.STF, store, cfg.Train.Frozen); err != nil {
			return MemoryPlan{}, err
		}
	}
	if err := checkQuantized(cfg.Train, store); err != nil {
		return MemoryPlan{}, err
	}
	p, err := s.Program(model.Train, largest)
	if err != nil {
		return MemoryPlan{}, err
	}
	m := MemoryPlan{Weights: store.Bytes() + store.BaseBytes(), Indices: store.IndexBytes() + p.HeldBytes(), Activations: p.ActivationBytes()}
	for _, name := range store.Names() {
		if !cfg.Train.Frozen(name) {
			n, size := store.Shape(name).TotalSize(), int(store.Dtype.Size())
			m.Gradients += n * size
			m.Optimizer += optim.StateBytes(cfg.Train, n, size)
			if cfg.Train.EMA > 0 {
				m.Averages += n * size
			}
		}
	}
	if m.Teacher, err = teacherBytes(cfg.Train.Distill, largest, o); err != nil {
		return MemoryPlan{}, err
	}
	if latents := latent.Latents(); latents != nil {
		m.addLatents(cfg.Train, latents, store, opts.Frozen)
	}
	if cfg.Train.Shards > 1 {
		m.Gradients *= shard.Sets(cfg.Train.Shards)
	}
	if cfg.Train.PerLayerUpdate {
		if err := p.Rehearse(); err != nil {
			return MemoryPlan{}, err
		}
		m.Gradients = sink.Bytes()
	}
	return m, nil
}

// addLatents makes the plan that of a run with latent values, whose needs while it has them are the larger; parameters that
// are frozen meanwhile have no gradients and no optimizer state then.
func (m *MemoryPlan) addLatents(cfg recipe.Train, latents, store *nn.Store, frozen func(name string) bool) {
	size := int(store.Dtype.Size())
	m.Latents = latents.Bytes()
	for _, name := range latents.Names() {
		n := latents.Shape(name).TotalSize()
		m.Gradients += n * size
		m.Optimizer += optim.StateBytes(cfg, n, size)
	}
	for _, name := range store.Names() {
		if n := store.Shape(name).TotalSize(); frozen(name) && !cfg.Frozen(name) {
			m.Gradients -= n * size
			m.Optimizer -= optim.StateBytes(cfg, n, size)
		}
	}
}

// Total is the sum of all parts: the peak of the process.
func (m MemoryPlan) Total() int {
	return m.Weights + m.Indices + m.Gradients + m.Optimizer + m.Averages + m.Latents + m.Teacher + m.Activations + m.Corpus + m.Program
}

// inProcess adds what a process takes beside its model:
// corpus is the bytes of its data, and it has programs of so many lengths.
func (m MemoryPlan) inProcess(cfg recipe.Config, corpus, lengths int) MemoryPlan {
	m.Corpus = corpus
	m.Program = programBytes + lengths*cfg.Model.Body().Blocks()*layerBytes
	m.Program += garbageAllowance(m.Total())
	return m
}

// What a program takes on amd64 Linux, measured: code, runtime and workspaces of
// the kernels; and of each block its nodes in the graphs of training and scoring
// of one length.
const (
	programBytes = 28e6
	layerBytes   = 300e3
)

// rows are the parts that this run has.
func (m MemoryPlan) rows() []machine.Row {
	all := []machine.Row{
		{Name: "weights", Bytes: float64(m.Weights)}, {Name: "indices", Bytes: float64(m.Indices)}, {Name: "gradients", Bytes: float64(m.Gradients)}, {Name: "optimizer", Bytes: float64(m.Optimizer)},
		{Name: "averages", Bytes: float64(m.Averages)}, {Name: "latents", Bytes: float64(m.Latents)}, {Name: "teacher", Bytes: float64(m.Teacher)}, {Name: "activations", Bytes: float64(m.Activations)}, {Name: "corpus", Bytes: float64(m.Corpus)}, {Name: "program", Bytes: float64(m.Program)},
	}
	return slices.DeleteFunc(all, func(r machine.Row) bool { return r.Bytes == 0 })
}

// Summary is the plan in one line.
func (m MemoryPlan) Summary() string {
	var parts []string
	for _, r := range m.rows() {
		parts = append(parts, r.Name+" "+machine.Bytes(r.Bytes))
	}
	return fmt.Sprintf("memory %s: %s", machine.Bytes(float64(m.Total())), strings.Join(parts, ", "))
}

// Table is the plan as lines of a table, each after prefix.
func (m MemoryPlan) Table(prefix string) string {
	text := machine.Table(append(m.rows(), machine.Row{Name: "total", Bytes: float64(m.Total())}), "")
	return prefix + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+prefix) + "\n"
}

// Fits refuses a plan that is larger than the memory of this machine.
func (m MemoryPlan) Fits() error { return m.fits(machine.Memory()) }

func (m MemoryPlan) fits(limit float64) error {
	if float64(m.Total()) <= limit {
		return nil
	}
	return fmt.Errorf("the run needs %s of memory and this machine has %s:\n%s%s",
		machine.Bytes(float64(m.Total())), machine.Bytes(limit), m.Table(""), recipe.Smaller)
}

// garbageAllowance is machine.GarbagePercent in bytes.
func garbageAllowance(total int) int { return total / 100 * machine.GarbagePercent(total) }

// limitGarbage is machine.LimitGarbage of the plan.
func (m MemoryPlan) limitGarbage() (restore func()) { return machine.LimitGarbage(m.Total()) }
