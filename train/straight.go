package train

import (
	"context"
	"fmt"
	"math"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
)

// straight trains latent values of dense_sparse layers; see [STFConfig]. When they have settled, it trains what they stood
// for.
type straight struct {
	cfg     recipe.Train
	store   *nn.Store // of the model
	layers  []string
	latents *nn.Store     // nil: settled
	grads   *nn.Gradients // of the latents
	reading reading

	optimizer Optimizer // of the latents, or of what they stood for
	began     int       // step after which that began
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

// newStraight is nil for a run without latent values.
func newStraight(cfg recipe.Train, store *nn.Store) *straight {
	if cfg.STF.Latent() == nil {
		return nil
	}
	s := &straight{cfg: cfg, store: store, latents: nn.NewStore(store.Dtype)}
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

// apply extends the options of a session that trains.
func (s *straight) apply(o *model.Options) {
	if s == nil || s.latents == nil {
		return
	}
	frozen := o.Frozen
	held := map[string]bool{}
	o.Frozen = func(name string) bool { return frozen(name) || held[name] }
	o.Straight = &nn.StraightThrough{Store: s.latents, Sink: s.grads, Coefficients: s.reading.coefficients(), Match: func(layer string) bool {
		for _, name := range s.reading.held(layer) {
			held[name] = s.cfg.STF.Matches(layer)
		}
		return s.cfg.STF.Matches(layer)
	}}
}

// begin prepares for the layers of a network that has been built.
func (s *straight) begin() (err error) {
	if s == nil {
		return nil
	}
	if s.layers, err = stfLayers(s.cfg.STF, s.store, s.cfg.Frozen); err != nil {
		return err
	}
	s.optimizer = NewOptimizer(s.cfg, s.latents)
	return nil
}

// owns tells whether a parameter of the model is not for the run's own optimizer.
func (s *straight) owns(name string) bool {
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

// add makes the next run add to the gradients of latent values.
func (s *straight) add(more bool) {
	if s != nil && s.latents != nil {
		s.grads.Add = more
	}
}

// norm is the norm of all gradients, of which the model's have the given one.
func (s *straight) norm(others float64) float64 {
	if s == nil || s.latents == nil {
		return others
	}
	return math.Hypot(others, GradNorm(s.grads))
}

// update makes a step, which counts from 1, of the latent values and of the layers, or of what they have settled to.
func (s *straight) update(grads *nn.Gradients, step int, rate, scale float64) (swaps int, err error) {
	if s == nil {
		return 0, nil
	}
	at := step - s.began
	if s.latents == nil {
		if s.began > 0 {
			rate *= warmUp(at, s.cfg.WarmupSteps)
		}
		UpdateAll(s.optimizer, grads, at, rate, scale)
		return 0, nil
	}
	for _, layer := range s.layers {
		if err := s.decay(layer, scale); err != nil {
			return 0, err
		}
	}
	UpdateAll(s.optimizer, s.grads, at, rate*s.cfg.STF.Latent().Rate, scale)
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
func (s *straight) decay(layer string, scale float64) error {
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
		setAt(g, i, at(g, i)+decay/scale*x)
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

// gap is how far the latent values of all layers are from what is computed with, over their size.
func (s *straight) gap() (float64, error) {
	var rest, all float64
	for _, layer := range s.layers {
		r, err := s.reading.rest(layer)
		if err != nil {
			return 0, err
		}
		for _, x := range r {
			rest += x * x
		}
		all += squares(s.latents.Get(nn.Latent(layer)))
	}
	return math.Sqrt(rest / all), nil
}

// values are what a step's record tells of the latent values.
func (s *straight) values(swaps int) ([]metrics.Value, error) {
	if s == nil || s.latents == nil {
		return nil, nil
	}
	entries := 0
	for _, layer := range s.layers {
		entries += s.store.Layer(layer).Nonzeros()
	}
	gap, err := s.gap()
	return []metrics.Value{{Name: "latent_gap", X: gap}, {Name: "atoms_changed", X: float64(swaps) / float64(entries)}}, err
}

// settle ends the latent values after a step. The optimizer begins anew, but for AdamW's means of latent coefficients: those
// of the chosen ones are the means of C.
func (s *straight) settle(step int) error {
	old, next := s.optimizer, newOptimizer(s.cfg, s.store, s.owns)
	s.latents, s.grads, s.optimizer = nil, nil, next
	r, ok := s.reading.(latentSupport)
	from, isAdamW := old.(*AdamW)
	if !ok || !isAdamW {
		s.began = step
		return nil
	}
	to := next.(*AdamW)
	for _, layer := range s.layers {
		for _, means := range [][2]map[string]*tensor.Dense{{from.mean, to.mean}, {from.square, to.square}} {
			if err := r.chosen(layer, means[0][nn.Latent(layer)], means[1][codesOf(layer)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrays views what a checkpoint keeps.
func (s *straight) arrays() []checkpoints.Array {
	if s == nil {
		return nil
	}
	out := s.optimizer.arrays()
	if s.latents != nil {
		out = append(out, saved.Views(s.latents.Names(), "", s.latents.Get)...)
	}
	return out
}

// at and setAt read and write an element.
func at(d *tensor.Dense, i int) float64 {
	if d.Dtype() == tensor.Float32 {
		return float64(d.Float32s()[i])
	}
	return d.Float64s()[i]
}

func setAt(d *tensor.Dense, i int, x float64) {
	if d.Dtype() == tensor.Float32 {
		d.Float32s()[i] = float32(x)
	} else {
		d.Float64s()[i] = x
	}
}

// turn makes latent values settle when their steps are done.
func (t *Trainer) turn() error {
	if t.straight == nil || t.straight.latents == nil || t.state.Step != t.cfg.Train.Settles() {
		return nil
	}
	t.Message("step %d: [train.stf] the choice of atoms is fixed, their values and dictionaries train", t.state.Step)
	t.state.Settled = t.state.Step
	return t.settle()
}

// settle continues without latent values, in a session of its own.
func (t *Trainer) settle() (err error) {
	if err := t.straight.settle(t.state.Settled); err != nil {
		return err
	}
	if t.session, err = t.newSession(); err != nil {
		return err
	}
	at := t.stream.Cursor()
	if err := t.feed(); err != nil {
		return err
	}
	return t.stream.Seek(at)
}

// beginSTF sets the layers of [train.stf] to the factors of their dense weights, unless they came factored from init_from,
// and starts their latent values.
func (t *Trainer) beginSTF(ctx context.Context) error {
	c := t.cfg.Train.STF
	if c == nil {
		return nil
	}
	layers, err := stfLayers(c, t.store, t.cfg.Train.Frozen)
	if err != nil {
		return err
	}
	dense, err := t.denseWeights(layers)
	if err != nil {
		return err
	}
	made := 0
	for _, layer := range layers {
		w := dense[layer]
		if w != nil && !t.inherited[codesOf(layer)] {
			f, err := factor.DenseSparse(ctx, w, factorConfig(t.store.Layer(layer), c.FirstSweeps, t.cfg.Seed), nil, nil)
			if err == nil {
				err = t.store.SetDenseSparse(layer, f)
			}
			if err != nil {
				return fmt.Errorf("[train.stf] %s: %w", layer, err)
			}
			made++
		}
		if t.straight == nil {
			continue
		}
		if w == nil {
			w = denseWeight(t.store, layer)
		}
		if err := t.straight.reading.start(layer, w); err != nil {
			return fmt.Errorf("[train.stf] %s: %w", layer, err)
		}
	}
	if made > 0 {
		t.Message("[train.stf] factorized: %d dense layers", made)
	}
	return nil
}

// denseWeights reads the weights of layers that are dense in [train.stf] from, or in init_from.
func (t *Trainer) denseWeights(layers []string) (map[string]*factor.Matrix, error) {
	path := t.cfg.Train.STF.From
	if path == "" {
		path = t.cfg.Train.InitFrom
	}
	if path == "" {
		return nil, nil
	}
	dir, err := saved.Find(path, false)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	dst := map[string]checkpoints.Array{}
	for _, layer := range layers {
		l, name := t.store.Layer(layer), layer+".weight"
		dst[name] = checkpoints.Array{Name: name, Shape: []int{l.Out, l.In}, Data: make([]float32, l.Out*l.In)}
	}
	loaded, missing, _, err := c.Match("model.npz", dst)
	if err != nil {
		return nil, err
	}
	if t.cfg.Train.STF.From != "" && len(missing) > 0 {
		return nil, fmt.Errorf("[train.stf] from = %q: %s has no weight %s of the size of this network's layer; want the checkpoint that was factorized", path, dir, missing[0])
	}
	out := map[string]*factor.Matrix{}
	for _, name := range loaded {
		a := dst[name]
		if out[name[:len(name)-len(".weight")]], err = factor.FromFloat32(a.Shape[0], a.Shape[1], a.Data.([]float32)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// denseWeight is the weight [out, in] that a layer stands for.
func denseWeight(s *nn.Store, layer string) *factor.Matrix {
	l := s.Layer(layer)
	return &factor.Matrix{Rows: l.Out, Cols: l.In, Data: s.DenseWeight(layer)}
}

// denseSparse is a layer of that kind.
func denseSparse(s *nn.Store, layer string) (nn.Layer, nn.DenseSparse) {
	l := s.Layer(layer)
	return l, l.Rule.Of.(nn.DenseSparse)
}

// factorConfig is the layout of a layer for the factorizer.
func factorConfig(l nn.Layer, sweeps int, seed uint64) factor.DenseSparseConfig {
	k := l.Rule.Of.(nn.DenseSparse)
	c := factor.DenseSparseConfig{
		Block: k.Block, Atoms: k.Atoms, Nonzeros: k.BlockNonzeros(l.In, l.Out), Shared: k.Shared, Sweeps: sweeps, Seed: seed, Axis: factor.AxisIn,
	}
	if k.Axis == "out" {
		c.Axis = factor.AxisOut
	}
	return c
}
