package train

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
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

// planMemory builds the training graph of a network, whose longest sequences have
// cfg.Data.SeqLen tokens, without any memory behind it.
func planMemory(cfg Config, dims model.Dims) (MemoryPlan, error) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	sink := nn.NewLayerGradients(store) // only counts, since the store is virtual
	n, err := networkOf(cfg, dims)
	if err != nil {
		return MemoryPlan{}, err
	}
	opts, straight := model.Options{Linear: cfg.Model.Linear, Sink: sink, Frozen: cfg.Train.frozen, Sites: stageOutputs(cfg.Model)}, newStraight(cfg.Train, store)
	straight.apply(&opts)
	s, err := model.NewSession(n, store, opts)
	if err != nil {
		return MemoryPlan{}, err
	}
	if err := checkFreeze(cfg.Train, store.Names()); err != nil {
		return MemoryPlan{}, err
	}
	if cfg.Train.STF != nil {
		if _, err := stfLayers(cfg.Train.STF, store, cfg.Train.frozen); err != nil {
			return MemoryPlan{}, err
		}
	}
	if err := checkQuantized(cfg.Train, store); err != nil {
		return MemoryPlan{}, err
	}
	p, err := s.Program(model.Train, dims.Shape(cfg.Train.BatchSize, cfg.Data.SeqLen))
	if err != nil {
		return MemoryPlan{}, err
	}
	m := MemoryPlan{Weights: store.Bytes() + store.BaseBytes(), Indices: store.IndexBytes() + p.HeldBytes(), Activations: p.ActivationBytes()}
	for _, name := range store.Names() {
		if !cfg.Train.frozen(name) {
			n, size := store.Shape(name).TotalSize(), int(store.Dtype.Size())
			m.Gradients += n * size
			m.Optimizer += optimizerBytes(cfg.Train, n, size)
			if cfg.Train.EMA > 0 {
				m.Averages += n * size
			}
		}
	}
	if m.Teacher, err = teacherBytes(cfg.Train.Distill, cfg.Train.BatchSize, cfg.Data.SeqLen); err != nil {
		return MemoryPlan{}, err
	}
	if straight != nil {
		m.addLatents(cfg.Train, straight.latents, store, opts.Frozen)
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
func (m *MemoryPlan) addLatents(cfg LoopConfig, latents, store *nn.Store, frozen func(name string) bool) {
	size := int(store.Dtype.Size())
	m.Latents = latents.Bytes()
	for _, name := range latents.Names() {
		n := latents.Shape(name).TotalSize()
		m.Gradients += n * size
		m.Optimizer += optimizerBytes(cfg, n, size)
	}
	for _, name := range store.Names() {
		if n := store.Shape(name).TotalSize(); frozen(name) && !cfg.frozen(name) {
			m.Gradients -= n * size
			m.Optimizer -= optimizerBytes(cfg, n, size)
		}
	}
}

// graphBytes is less than the graph of one block takes.
const graphBytes = 20e3

// plausible refuses a config whose weights or activations alone exceed limit, which is this machine's memory or more.
// It estimates from below and in float64, because for such sizes the plan's own
// integers overflow and its inputs would not fit.
func plausible(cfg Config, dims model.Dims, limit float64) error {
	d, layers, vocab := float64(cfg.Model.DModel), float64(cfg.Model.NLayer), float64(dims.VocabSize)
	hidden := float64(cfg.Model.DFF)
	if hidden == 0 {
		hidden = 2 * d
	}
	tokens := float64(cfg.Train.BatchSize) * float64(cfg.Data.SeqLen)
	blocks := layers * (2*d*hidden + cfg.Model.Attention.Parameters(cfg.Model.DModel))
	if len(cfg.Model.Linear) > 0 {
		blocks = layers * 2 * d // factored layers may be small; the norms are not
	}
	weights := 4 * (vocab*d + blocks)
	scores := vocab // of each token
	if cfg.Model.Kind != "decoder" {
		scores = 0 // of each text, or of few tokens
	}
	activations := tokens*(3*8+4*(d+hidden+scores)) + layers*graphBytes
	context := float64(dims.Context)
	if cfg.Model.Positions == "learned" {
		weights += 4 * context * d
	} else {
		activations += 4 * context * float64(cfg.Model.Attention.RotaryDim(cfg.Model.DModel)) // the table of angles
	}
	if cfg.Model.Kind == "favit" {
		weights, activations = cfg.Model.LeastOfImages(dims)
		activations *= float64(cfg.Train.BatchSize)
	}
	if weights+activations <= limit {
		return nil
	}
	return fmt.Errorf("the run needs more than %s of memory and this machine has %s:\n%s%s", bytesText(weights+activations), bytesText(min(limit, memoryLimit())),
		table([]row{{name: "weights", bytes: weights}, {name: "activations", bytes: activations}}, "more than "), smaller)
}

// smaller is the advice of every refused plan.
const smaller = "try a smaller batch_size, d_model or n_layer, or checkpoint_activations = true"

// Total is the sum of all parts: the peak of the process.
func (m MemoryPlan) Total() int {
	return m.Weights + m.Indices + m.Gradients + m.Optimizer + m.Averages + m.Latents + m.Teacher + m.Activations + m.Corpus + m.Program
}

// inProcess adds what a process takes beside its model:
// corpus is the bytes of its data, and it has programs of so many lengths.
func (m MemoryPlan) inProcess(cfg Config, corpus, lengths int) MemoryPlan {
	m.Corpus = corpus
	m.Program = programBytes + lengths*cfg.Model.Blocks()*layerBytes
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
func (m MemoryPlan) rows() []row {
	all := []row{
		{name: "weights", bytes: float64(m.Weights)}, {name: "indices", bytes: float64(m.Indices)}, {name: "gradients", bytes: float64(m.Gradients)}, {name: "optimizer", bytes: float64(m.Optimizer)},
		{name: "averages", bytes: float64(m.Averages)}, {name: "latents", bytes: float64(m.Latents)}, {name: "teacher", bytes: float64(m.Teacher)}, {name: "activations", bytes: float64(m.Activations)}, {name: "corpus", bytes: float64(m.Corpus)}, {name: "program", bytes: float64(m.Program)},
	}
	return slices.DeleteFunc(all, func(r row) bool { return r.bytes == 0 })
}

// Summary is the plan in one line.
func (m MemoryPlan) Summary() string {
	var parts []string
	for _, r := range m.rows() {
		parts = append(parts, r.name+" "+bytesText(r.bytes))
	}
	return fmt.Sprintf("memory %s: %s", bytesText(float64(m.Total())), strings.Join(parts, ", "))
}

// row is one line of a table of memory.
type row struct {
	name  string
	bytes float64
}

// Table is the plan as lines of a table, each after prefix.
func (m MemoryPlan) Table(prefix string) string {
	text := table(append(m.rows(), row{name: "total", bytes: float64(m.Total())}), "")
	return prefix + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+prefix) + "\n"
}

func table(rows []row, bound string) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-12s %s%9s\n", r.name, bound, bytesText(r.bytes))
	}
	return b.String()
}

// bytesText writes a number of bytes in a unit that suits it.
func bytesText(n float64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	n /= 1e3
	for ; n >= 999.5 && len(units) > 1; units = units[1:] {
		n /= 1e3
	}
	switch {
	case n < 99.95:
		return fmt.Sprintf("%.1f %s", n, units[0])
	case n < 99_999.5:
		return fmt.Sprintf("%.0f %s", n, units[0])
	}
	return fmt.Sprintf("%.1e %s", n, units[0])
}

// memoryLimit is the memory of this machine in bytes; where that is not known,
// more than any has.
func memoryLimit() float64 {
	if n := availableMemory(); n > 0 {
		return float64(n)
	}
	return 1 << 48
}

// MachineMemory is the memory of this machine as a text.
func MachineMemory() string { return bytesText(memoryLimit()) }

// Fits refuses a plan that is larger than the memory of this machine.
func (m MemoryPlan) Fits() error { return m.fits(memoryLimit()) }

func (m MemoryPlan) fits(limit float64) error {
	if float64(m.Total()) <= limit {
		return nil
	}
	return fmt.Errorf("the run needs %s of memory and this machine has %s:\n%s%s",
		bytesText(float64(m.Total())), bytesText(limit), m.Table(""), smaller)
}
