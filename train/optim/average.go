package optim

import (
	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/saved"
)

// Averages are exponential moving averages of the weights that train (Polyak and Juditsky 1992; with decay as in Szegedy et
// al. 2016): after step t
//
//	a = d a + (1 - d) w,  d = min(decay, (1+t)/(10+t))
//
// from a = w after the first step. The smaller d of early steps forgets the initial values sooner. What is measured and saved
// are the averages; training goes on with w.
type Averages struct {
	decay float64
	store *nn.Store
	names []string
	other map[string]*tensor.Dense // a, or w while the store has a
}

// NewAverages prepares to average the named parameters.
func NewAverages(decay float64, store *nn.Store, names []string) *Averages {
	a := &Averages{decay: decay, store: store, names: names, other: map[string]*tensor.Dense{}}
	for _, name := range names {
		a.other[name] = zerosLike(store.Get(name))
	}
	return a
}

// Update takes the weights of a step, which counts from 1, into the averages.
func (a *Averages) Update(step int) {
	d := min(a.decay, float64(1+step)/float64(10+step))
	if step == 1 {
		d = 0
	}
	for _, name := range a.names {
		w := a.store.Get(name)
		if w.Dtype() == tensor.Float32 {
			approach(a.other[name].Float32s(), w.Float32s(), 1-d)
		} else {
			approach(a.other[name].Float64s(), w.Float64s(), 1-d)
		}
	}
}

// approach moves a to w by a share of the way.
func approach[T kernel.Float](a, w []T, share float64) {
	kernel.Ranges(len(a), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a[i] += T(share * (float64(w[i]) - float64(a[i])))
		}
	})
}

// Swap exchanges weights and averages.
func (a *Averages) Swap() {
	for _, name := range a.names {
		w := a.store.Get(name)
		if w.Dtype() == tensor.Float32 {
			exchange(a.other[name].Float32s(), w.Float32s())
		} else {
			exchange(a.other[name].Float64s(), w.Float64s())
		}
	}
}

func exchange[T kernel.Float](a, w []T) {
	kernel.Ranges(len(a), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a[i], w[i] = w[i], a[i]
		}
	})
}

// Arrays views what a checkpoint keeps beside the averages, which are its model: the weights that train. It is for the time
// between two swaps.
func (a *Averages) Arrays() []checkpoints.Array {
	if a == nil {
		return nil
	}
	return saved.Views(a.names, "trained.", func(n string) *tensor.Dense { return a.other[n] })
}
