package optim

import (
	"math"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
)

// grain is how many values one piece of an update or of a norm covers.
const grain = nn.GradientGrain

// Optimizer changes parameters by their gradients.
type Optimizer interface {
	// Names lists the parameters that train, in the store's order.
	Names() []string
	// Update changes one parameter, or its elements from the given one on, by their
	// gradient times scale. step counts from 1.
	Update(name string, grad *tensor.Dense, from, step int, rate, scale float64)
	// Bytes is the memory of the state.
	Bytes() int

	// Arrays views the state, as a checkpoint keeps it.
	Arrays() []checkpoints.Array
}

// New starts the optimizer of a config with a state of zero for every
// parameter that is not frozen.
func New(cfg recipe.Train, store *nn.Store) Optimizer {
	return NewOf(cfg, store, func(string) bool { return true })
}

// NewOf is New for the parameters that own accepts.
func NewOf(cfg recipe.Train, store *nn.Store, own func(name string) bool) Optimizer {
	if cfg.Optimizer == "adamw8bit" {
		return newAdamW8bit(cfg, store, own)
	}
	return newAdamW(cfg, store, own)
}

// StateBytes is the memory of the optimizer's state of one parameter.
func StateBytes(cfg recipe.Train, elements, elementSize int) int {
	if cfg.Optimizer == "adamw8bit" && elements >= minElements8bit {
		blocks := (elements + cfg.AdamBlockSize - 1) / cfg.AdamBlockSize
		return 2*elements + 2*4*blocks
	}
	return 2 * elements * elementSize
}

// AdamW holds the state of the optimizer of Loshchilov and Hutter, "Decoupled
// Weight Decay Regularization" (ICLR 2019), algorithm 2: two means a parameter.
// Parameters are decayed or not as they were declared: norms and biases are not.
type AdamW struct {
	cfg          recipe.Train
	store        *nn.Store
	names        []string
	mean, square map[string]*tensor.Dense
}

// NewAdamW starts with means of zero for every parameter that is not frozen.
func NewAdamW(cfg recipe.Train, store *nn.Store) *AdamW {
	return newAdamW(cfg, store, func(string) bool { return true })
}

// newAdamW is NewAdamW for the parameters that own accepts.
func newAdamW(cfg recipe.Train, store *nn.Store, own func(name string) bool) *AdamW {
	o := &AdamW{cfg: cfg, store: store, mean: map[string]*tensor.Dense{}, square: map[string]*tensor.Dense{}}
	for _, name := range store.Names() {
		if cfg.Frozen(name) || !own(name) {
			continue
		}
		o.names = append(o.names, name)
		o.mean[name] = zerosLike(store.Get(name))
		o.square[name] = zerosLike(store.Get(name))
	}
	return o
}

func zerosLike(d *tensor.Dense) *tensor.Dense {
	return tensor.New(tensor.Of(d.Dtype()), tensor.WithShape(d.Shape().Clone()...))
}

// Names implements Optimizer.
func (o *AdamW) Names() []string { return o.names }

// UpdateAll updates every parameter that trains from its gradient times scale; what the loss does not depend on, such as
// arrays that are kept for others, has none and stays. step counts from 1.
func UpdateAll(o Optimizer, grads *nn.Gradients, step int, rate, scale float64) {
	for _, name := range o.Names() {
		g := grads.Get(name)
		rows, sparse := grads.Rows(name)
		switch {
		case g == nil:
		case sparse:
			updateRows(o, name, rows, g, step, rate, scale)
		default:
			o.Update(name, g, 0, step, rate, scale)
		}
	}
}

// Update implements Optimizer.
func (o *AdamW) Update(name string, grad *tensor.Dense, from, step int, rate, scale float64) {
	w := o.store.Get(name)
	p := adamSettings(o.cfg, o.store.Decays(name), step, rate, scale)
	if w.Dtype() == tensor.Float32 {
		update(p, w.Float32s()[from:], o.mean[name].Float32s()[from:], o.square[name].Float32s()[from:], grad.Float32s())
	} else {
		update(p, w.Float64s()[from:], o.mean[name].Float64s()[from:], o.square[name].Float64s()[from:], grad.Float64s())
	}
}

// adamSettings are the settings of one step of a parameter that weight decay is for or not.
func adamSettings(cfg recipe.Train, decays bool, step int, rate, scale float64) kernel.AdamW {
	p := kernel.AdamW{LearningRate: rate, Beta1: cfg.Beta1, Beta2: cfg.Beta2, Eps: cfg.Eps, Step: step, GradScale: scale}
	if decays {
		p.WeightDecay = cfg.WeightDecay
	}
	return p
}

func update[T kernel.Float](p kernel.AdamW, w, m, v, g []T) {
	kernel.Ranges(len(g), grain, func(lo, hi int) {
		kernel.AdamWStep(p, w[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi])
	})
}

// Arrays implements Optimizer.
func (o *AdamW) Arrays() []checkpoints.Array {
	return slices.Concat(
		saved.Views(o.names, "mean.", func(n string) *tensor.Dense { return o.mean[n] }),
		saved.Views(o.names, "square.", func(n string) *tensor.Dense { return o.square[n] }))
}

// Means are those of a parameter's gradients and of their squares.
func (o *AdamW) Means(name string) (mean, square *tensor.Dense) { return o.mean[name], o.square[name] }

// Bytes implements Optimizer.
func (o *AdamW) Bytes() int {
	n := 0
	for _, name := range o.names {
		n += StateBytes(recipe.Train{}, o.mean[name].Shape().TotalSize(), int(o.store.Dtype.Size()))
	}
	return n
}

// GradNorm is the Euclidean norm of all gradients together, summed in float64 over
// fixed pieces in order. A NaN or an infinity anywhere shows in it.
func GradNorm(grads *nn.Gradients) float64 {
	var sum float64
	for _, name := range grads.Names() {
		sum += Squares(grads.Get(name))
	}
	return math.Sqrt(sum)
}

// Squares is the sum of the squares of all elements.
func Squares(d *tensor.Dense) float64 { return AddSquares(0, d) }

// AddSquares adds the square of each element to sum, piece after piece.
func AddSquares(sum float64, d *tensor.Dense) float64 {
	if d.Dtype() == tensor.Float32 {
		return addSquaresOf(sum, d.Float32s())
	}
	return addSquaresOf(sum, d.Float64s())
}

func addSquaresOf[T kernel.Float](sum float64, x []T) float64 {
	parts := make([]float64, (len(x)+grain-1)/grain)
	kernel.Ranges(len(x), grain, func(lo, hi int) {
		parts[lo/grain] = kernel.SumSquares(x[lo:hi])
	})
	for _, p := range parts {
		sum += p
	}
	return sum
}
