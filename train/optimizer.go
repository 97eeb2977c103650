package train

import (
	"math"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
)

// optimizerGrain is how many values one piece of an update or of a norm covers.
const optimizerGrain = 32 << 10

// AdamW holds the state of the optimizer of Loshchilov and Hutter, "Decoupled
// Weight Decay Regularization" (ICLR 2019), algorithm 2: two means a parameter.
// Parameters with one dimension (norms, biases) are not decayed.
type AdamW struct {
	cfg          LoopConfig
	store        *nn.Store
	names        []string // parameters that train, in the store's order
	mean, square map[string]*tensor.Dense
}

// NewAdamW starts with means of zero for every parameter that is not frozen.
func NewAdamW(cfg LoopConfig, store *nn.Store) *AdamW {
	o := &AdamW{cfg: cfg, store: store, mean: map[string]*tensor.Dense{}, square: map[string]*tensor.Dense{}}
	for _, name := range store.Names() {
		if cfg.frozen(name) {
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

// Step updates every parameter from its gradient times scale. step counts from 1.
func (o *AdamW) Step(grads *nn.Gradients, step int, rate, scale float64) {
	for _, name := range o.names {
		p := kernel.AdamW{
			LearningRate: rate, Beta1: o.cfg.Beta1, Beta2: o.cfg.Beta2, Eps: o.cfg.Eps, Step: step, GradScale: scale,
		}
		w := o.store.Get(name)
		if w.Dims() >= 2 {
			p.WeightDecay = o.cfg.WeightDecay
		}
		if w.Dtype() == tensor.Float32 {
			update(p, w.Float32s(), o.mean[name].Float32s(), o.square[name].Float32s(), grads.Get(name).Float32s())
		} else {
			update(p, w.Float64s(), o.mean[name].Float64s(), o.square[name].Float64s(), grads.Get(name).Float64s())
		}
	}
}

func update[T kernel.Float](p kernel.AdamW, w, m, v, g []T) {
	kernel.Ranges(len(w), optimizerGrain, func(lo, hi int) {
		kernel.AdamWStep(p, w[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi])
	})
}

// GradNorm is the Euclidean norm of all gradients together, summed in float64 over
// fixed pieces in order. A NaN or an infinity anywhere shows in it.
func GradNorm(grads *nn.Gradients) float64 {
	var sum float64
	for _, name := range grads.Names() {
		sum += squares(grads.Get(name))
	}
	return math.Sqrt(sum)
}

func squares(d *tensor.Dense) float64 {
	if d.Dtype() == tensor.Float32 {
		return sumSquares(d.Float32s())
	}
	return sumSquares(d.Float64s())
}

func sumSquares[T kernel.Float](x []T) float64 {
	parts := make([]float64, (len(x)+optimizerGrain-1)/optimizerGrain)
	kernel.Ranges(len(x), optimizerGrain, func(lo, hi int) {
		parts[lo/optimizerGrain] = kernel.SumSquares(x[lo:hi])
	})
	var sum float64
	for _, p := range parts {
		sum += p
	}
	return sum
}

// Bytes is the memory of the optimizer's state.
func (o *AdamW) Bytes() int {
	n := 0
	for _, m := range o.mean {
		n += 2 * int(m.MemSize())
	}
	return n
}
