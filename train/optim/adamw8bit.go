package optim

import (
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/recipe"
)

// minElements8bit is the smallest tensor whose state has 8 bits; smaller ones,
// of which norms are the sensitive part, are as AdamW's (Dettmers et al., "8-bit
// Optimizers via Block-wise Quantization", ICLR 2022, section 2 and their library).
const minElements8bit = 4096

// AdamW8bit is AdamW with 8-bit states (see [kernel.AdamW8bitStep]): a large
// tensor's two means take 2 bytes an element and 8 a block. Its weight decay
// comes after the step, that of small tensors before it, as AdamW's.
type AdamW8bit struct {
	cfg   recipe.Train
	store *nn.Store
	names []string // large and small
	large map[string]kernel.AdamW8bitState
	small *AdamW
}

// NewAdamW8bit starts with means of zero for every parameter that is not frozen.
func NewAdamW8bit(cfg recipe.Train, store *nn.Store) *AdamW8bit {
	return newAdamW8bit(cfg, store, func(string) bool { return true })
}

// newAdamW8bit is NewAdamW8bit for the parameters that own accepts.
func newAdamW8bit(cfg recipe.Train, store *nn.Store, own func(name string) bool) *AdamW8bit {
	o := &AdamW8bit{cfg: cfg, store: store, large: map[string]kernel.AdamW8bitState{}}
	for _, name := range store.Names() {
		if cfg.Frozen(name) || !own(name) {
			continue
		}
		o.names = append(o.names, name)
		if n := store.Shape(name).TotalSize(); n >= minElements8bit {
			o.large[name] = kernel.NewAdamW8bitState(n, cfg.AdamBlockSize)
		}
	}
	o.small = newAdamW(cfg, store, func(name string) bool { return own(name) && !o.isLarge(name) })
	return o
}

func (o *AdamW8bit) isLarge(name string) bool {
	return o.store.Shape(name).TotalSize() >= minElements8bit
}

// Names implements Optimizer.
func (o *AdamW8bit) Names() []string { return o.names }

// Update implements Optimizer.
func (o *AdamW8bit) Update(name string, grad *tensor.Dense, from, step int, rate, scale float64) {
	if !o.isLarge(name) {
		o.small.Update(name, grad, from, step, rate, scale)
		return
	}
	w := o.store.Get(name)
	p := adamSettings(o.cfg, o.store.Decays(name), step, rate, scale)
	if w.Dtype() == tensor.Float32 {
		update8bit(p, o.cfg.AdamBlockSize, w.Float32s(), o.large[name], from, grad.Float32s())
	} else {
		update8bit(p, o.cfg.AdamBlockSize, w.Float64s(), o.large[name], from, grad.Float64s())
	}
}

func update8bit[T kernel.Float](p kernel.AdamW, block int, w []T, s kernel.AdamW8bitState, from int, g []T) {
	kernel.Ranges(len(g), grain, func(lo, hi int) { // whole blocks: both are powers of two, and from is a multiple of the larger
		kernel.AdamW8bitStep(p, block, w[from+lo:from+hi], s.Slice(block, from+lo, from+hi), g[lo:hi])
	})
}

// Bytes implements Optimizer.
func (o *AdamW8bit) Bytes() int {
	n := o.small.Bytes()
	for _, s := range o.large {
		n += len(s.Mean) + len(s.Square) + 4*(len(s.MeanMax)+len(s.SquareMax))
	}
	return n
}

// Arrays implements Optimizer.
func (o *AdamW8bit) Arrays() []checkpoints.Array {
	as := o.small.Arrays()
	for _, name := range o.names {
		if !o.isLarge(name) {
			continue
		}
		s, shape := o.large[name], o.store.Shape(name)
		blocks := []int{len(s.MeanMax)}
		as = slices.Concat(as, []checkpoints.Array{
			{Name: "mean_code." + name, Shape: shape, Data: s.Mean},
			{Name: "mean_max." + name, Shape: blocks, Data: s.MeanMax},
			{Name: "square_code." + name, Shape: shape, Data: s.Square},
			{Name: "square_max." + name, Shape: blocks, Data: s.SquareMax},
		})
	}
	return as
}
