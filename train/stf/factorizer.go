package stf

import (
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/train/optim"
)

// Factorizer trains latent values of dense_sparse layers; see [recipe.STF]. When they have settled, it trains what they stood
// for. A nil one is that of a run without latent values.
type Factorizer struct {
	cfg     recipe.Train
	store   *nn.Store // of the model
	layers  []string
	latents *nn.Store     // nil: settled
	grads   *nn.Gradients // of the latents
	reading reading

	optimizer optim.Optimizer // of the latents, or of what they stood for
	began     int             // step after which that began
}

// reading is one understanding of STF: what a layer's latent values are to C and D.
type reading interface {
	// coefficients tells whether latent values are those of all atoms, and not a dense weight.
	coefficients() bool
	// held are the parameters of a layer that do not train while it has latent values.
	held(layer string) []string
	// start sets a layer's latent values. They stand for the C and D that it has. w is its dense weight [out, in].
	start(layer string, w *factor.Matrix) error
	// project sets C and D to what the latent values stand for after a step, which counts from 1.
	project(layer string, step int) error
	// rest is the latent values less what C and D are of them.
	rest(layer string) ([]float64, error)
}

// New is nil for a run without latent values.
func New(cfg recipe.Train, store *nn.Store) *Factorizer {
	if cfg.STF.Latent() == nil {
		return nil
	}
	s := &Factorizer{cfg: cfg, store: store, latents: nn.NewStore(store.Dtype)}
	s.latents.Virtual = store.Virtual
	s.grads = nn.NewGradients(s.latents)
	switch kind := cfg.STF.Of.(type) {
	case recipe.STFLatent:
		s.reading = latentWeight{cfg: kind, store: store, latents: s.latents}
	case recipe.STFSupport:
		s.reading = latentSupport{store: store, latents: s.latents}
	}
	return s
}

// Latents are the latent values; nil once they have settled.
func (s *Factorizer) Latents() *nn.Store {
	if s == nil {
		return nil
	}
	return s.latents
}

// Apply extends the options of a session that trains.
func (s *Factorizer) Apply(o *model.Options) {
	if s.Latents() == nil {
		return
	}
	frozen := o.Frozen
	held := map[string]bool{}
	o.Frozen = func(name string) bool { return frozen(name) || held[name] }
	o.STF = &nn.STF{Store: s.latents, Sink: s.grads, Coefficients: s.reading.coefficients(), Match: func(layer string) bool {
		for _, name := range s.reading.held(layer) {
			held[name] = s.cfg.STF.Matches(layer)
		}
		return s.cfg.STF.Matches(layer)
	}}
}

// Begin prepares for the layers of a network that has been built.
func (s *Factorizer) Begin() (err error) {
	if s == nil {
		return nil
	}
	if s.layers, err = Layers(s.cfg.STF, s.store, s.cfg.Frozen); err != nil {
		return err
	}
	s.optimizer = optim.New(s.cfg, s.latents)
	return nil
}

// Owns tells whether a parameter of the model is not for the run's own optimizer.
func (s *Factorizer) Owns(name string) bool {
	if s == nil {
		return false
	}
	for _, layer := range s.layers {
		for _, part := range s.reading.held(layer) {
			if part == name {
				return true
			}
		}
	}
	return false
}

// Add makes the next run add to the gradients of latent values.
func (s *Factorizer) Add(more bool) {
	if s != nil && s.latents != nil {
		s.grads.Add = more
	}
}

// Norm is the norm of all gradients, of which the model's have the given one.
func (s *Factorizer) Norm(others float64) float64 {
	if s.Latents() == nil {
		return others
	}
	return math.Hypot(others, optim.GradNorm(s.grads))
}

// Update makes a step, which counts from 1, of the latent values and of the layers, or of what they have settled to.
func (s *Factorizer) Update(grads *nn.Gradients, step int, rate, scale float64) (swaps int, err error) {
	if s == nil {
		return 0, nil
	}
	at := step - s.began
	if s.latents == nil {
		if s.began > 0 {
			rate *= warmUp(at, s.cfg.WarmupSteps)
		}
		optim.UpdateAll(s.optimizer, grads, at, rate, scale)
		return 0, nil
	}
	for _, layer := range s.layers {
		if err := s.decay(layer, scale); err != nil {
			return 0, err
		}
	}
	optim.UpdateAll(s.optimizer, s.grads, at, rate*s.cfg.STF.Latent().Rate, scale)
	for _, layer := range s.layers {
		atoms := s.store.Atoms(layer + ".sparse.indices")
		before := append([]uint8(nil), atoms.Index...)
		if err := s.reading.project(layer, step); err != nil {
			return 0, fmt.Errorf("train: [train.stf]: %s: %w", layer, err)
		}
		swaps += newAtoms(s.store.Layer(layer), before, atoms.Index)
	}
	return swaps, nil
}

// warmUp is the share of the rate at a step, which counts from 1.
func warmUp(step, steps int) float64 {
	if step >= steps {
		return 1
	}
	return float64(step) / float64(steps)
}

// decay adds to the gradient of a layer's latent values, which is to be multiplied with scale.
func (s *Factorizer) decay(layer string, scale float64) error {
	decay := s.cfg.STF.Latent().Decay
	if decay == 0 || scale == 0 {
		return nil
	}
	rest, err := s.reading.rest(layer)
	if err != nil {
		return err
	}
	g := s.grads.Get(nn.Latent(layer))
	for i, x := range rest {
		nn.SetAt(g, i, nn.At(g, i)+decay/scale*x)
	}
	return nil
}

// newAtoms counts the entries of after whose vector had another atom before.
func newAtoms(l nn.Layer, before, after []uint8) int {
	n, first := 0, 0
	k := l.Rule.Of.(nn.DenseSparse)
	_, vectors := k.Cut(l.In, l.Out)
	for _, nonzeros := range k.BlockNonzeros(l.In, l.Out) {
		for i := range vectors {
			old := first + i // both ascend
			for t := range nonzeros {
				atom := after[first+t*vectors+i]
				for old < first+nonzeros*vectors && before[old] < atom {
					old += vectors
				}
				if old >= first+nonzeros*vectors || before[old] != atom {
					n++
				}
			}
		}
		first += nonzeros * vectors
	}
	return n
}
