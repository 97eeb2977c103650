package train

import (
	"math"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/train/optim"
)

// layerUpdates updates each parameter within the backward pass, as soon as its
// gradient is complete.
type layerUpdates struct {
	sink      *nn.LayerGradients
	optimizer optim.Optimizer
	store     *nn.Store

	// Of the step in progress, set before it runs.
	step        int
	rate, scale float64
	squares     map[string]float64 // of each gradient that has arrived

	diverged func(what string, value float64) *DivergedError
}

func newLayerUpdates(store *nn.Store, optimizer optim.Optimizer, sink *nn.LayerGradients, diverged func(string, float64) *DivergedError) *layerUpdates {
	u := &layerUpdates{sink: sink, optimizer: optimizer, store: store, squares: map[string]float64{}, diverged: diverged}
	sink.Update = u.update
	return u
}

// begin prepares the next run of the program.
func (u *layerUpdates) begin(step int, rate, scale float64) {
	u.step, u.rate, u.scale = step, rate, scale
	clear(u.squares)
}

// update is what the sink does with a gradient, or with that of some rows, which come in order.
func (u *layerUpdates) update(name string, grad *tensor.Dense, from int) error {
	sum := optim.AddSquares(u.squares[name], grad)
	if !kernel.Finite(sum) {
		e := u.diverged("gradient", math.Sqrt(sum))
		e.Parameter = name
		return e
	}
	u.squares[name] = sum
	u.optimizer.Update(name, grad, from, u.step, u.rate, u.scale)
	return nil
}

// norm is GradNorm of the run's gradients.
func (u *layerUpdates) norm() float64 {
	var sum float64
	for _, name := range u.store.Names() {
		sum += u.squares[name]
	}
	return math.Sqrt(sum)
}
