package stf

import (
	"math"

	"sparrow/checkpoints"
	"sparrow/metrics"
	"sparrow/nn"
	"sparrow/saved"
	"sparrow/train/optim"
)

// gap is how far the latent values of all layers are from what is computed with, over their size.
func (s *Factorizer) gap() (float64, error) {
	var rest, all float64
	for _, layer := range s.layers {
		r, err := s.reading.rest(layer)
		if err != nil {
			return 0, err
		}
		for _, x := range r {
			rest += x * x
		}
		all += optim.Squares(s.latents.Get(nn.Latent(layer)))
	}
	return math.Sqrt(rest / all), nil
}

// Values are what a step's record tells of the latent values.
func (s *Factorizer) Values(swaps int) ([]metrics.Value, error) {
	if s.Latents() == nil {
		return nil, nil
	}
	gap, err := s.gap()
	return []metrics.Value{{Name: "latent_gap", X: gap}, {Name: "atoms_changed", X: float64(swaps) / float64(s.slots())}}, err
}

// Settle ends the latent values after a step. The optimizer begins anew, but for AdamW's means of latent coefficients: those
// of the chosen ones are the means of C.
func (s *Factorizer) Settle(step int) error {
	old, next := s.optimizer, optim.NewOf(s.cfg, s.store, s.Owns)
	s.latents, s.grads, s.optimizer = nil, nil, next
	r, ok := s.reading.(latentSupport)
	from, isAdamW := old.(*optim.AdamW)
	if !ok || !isAdamW {
		s.began = step
		return nil
	}
	to := next.(*optim.AdamW)
	for _, layer := range s.layers {
		mean, square := from.Means(nn.Latent(layer))
		ownMean, ownSquare := to.Means(Codes(layer))
		if err := r.chosen(layer, mean, ownMean); err != nil {
			return err
		}
		if err := r.chosen(layer, square, ownSquare); err != nil {
			return err
		}
	}
	return nil
}

// Arrays views what a checkpoint keeps.
func (s *Factorizer) Arrays() []checkpoints.Array {
	if s == nil {
		return nil
	}
	out := s.optimizer.Arrays()
	if s.latents != nil {
		out = append(out, saved.Views(s.latents.Names(), "", s.latents.Get)...)
	}
	return out
}
