package stf

import (
	"fmt"
	"strings"

	"sparrow/saved"
)

// Tenths is into how many parts of a run the changes of supports are counted.
const Tenths = 10

// still is the share of changed supports below which latent values have trained what fixed places would have.
const still = 0.01

// Changed are the atoms that other atoms have replaced in each tenth of a run's steps, as shares of all nonzeros of the layers of
// [train.stf]. An atom that changes twice counts twice. Nil: the run had no latent values.
type Changed []float64

// ChangedOf is what the state of a run has counted.
func ChangedOf(s saved.State) Changed {
	if s.SwapSlots == 0 {
		return nil
	}
	c := make(Changed, len(s.SwapTenths))
	for i, n := range s.SwapTenths {
		c[i] = float64(n) / float64(s.SwapSlots)
	}
	return c
}

// Note adds the swaps of the step just done, of so many, to a run's state.
func (s *Factorizer) Note(state *saved.State, swaps, steps int) {
	if s.Latents() == nil {
		return
	}
	if state.SwapTenths == nil {
		state.SwapTenths, state.SwapSlots = make([]int, Tenths), s.slots()
	}
	state.Swaps += swaps
	state.SwapTenths[min(Tenths-1, (state.Step-1)*Tenths/steps)] += swaps
}

// slots is how many atoms the vectors of all layers have.
func (s *Factorizer) slots() int {
	n := 0
	for _, layer := range s.layers {
		n += s.store.Layer(layer).Nonzeros()
	}
	return n
}

// Total is the share over the whole run.
func (c Changed) Total() float64 {
	sum := 0.0
	for _, x := range c {
		sum += x
	}
	return sum
}

// Frozen tells whether so little has changed that the run is one with fixed places by another way.
func (c Changed) Frozen() bool { return c != nil && c.Total() < still }

// String lists the tenths and the whole, in percent.
func (c Changed) String() string {
	parts := make([]string, len(c))
	for i, x := range c {
		parts[i] = fmt.Sprintf("%.1f", 100*x)
	}
	s := fmt.Sprintf("%s%%, %.1f%% in all", strings.Join(parts, " "), 100*c.Total())
	if c.Frozen() {
		s += ": as good as frozen"
	}
	return s
}
