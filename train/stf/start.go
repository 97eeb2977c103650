package stf

import (
	"context"
	"fmt"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
)

// Start sets the layers of [train.stf] to the factors of their dense weights, unless they came factored from init_from, which the
// arrays in inherited did, and starts their latent values. It returns how many layers it has factorized. f is nil without latent
// values.
func Start(ctx context.Context, cfg recipe.Train, seed uint64, store *nn.Store, f *Factorizer, inherited map[string]bool) (made int, err error) {
	layers, err := Layers(cfg.STF, store, cfg.Frozen)
	if err != nil {
		return 0, err
	}
	dense, err := denseWeights(cfg, store, layers)
	if err != nil {
		return 0, err
	}
	for _, layer := range layers {
		w := dense[layer]
		if w != nil && !inherited[Codes(layer)] {
			factors, err := factor.DenseSparse(ctx, w, factorConfig(store.Layer(layer), cfg.STF.FirstSweeps, seed), nil, nil)
			if err == nil {
				err = store.SetDenseSparse(layer, factors)
			}
			if err != nil {
				return 0, fmt.Errorf("[train.stf] %s: %w", layer, err)
			}
			made++
		}
		if f == nil {
			continue
		}
		if w == nil {
			l := store.Layer(layer)
			w = &factor.Matrix{Rows: l.Out, Cols: l.In, Data: store.DenseWeight(layer)}
		}
		if err := f.reading.start(layer, w); err != nil {
			return 0, fmt.Errorf("[train.stf] %s: %w", layer, err)
		}
	}
	return made, nil
}

// denseWeights reads the weights of layers that are dense in [train.stf] from, or in init_from.
func denseWeights(cfg recipe.Train, store *nn.Store, layers []string) (map[string]*factor.Matrix, error) {
	path := cfg.STF.From
	if path == "" {
		path = cfg.InitFrom
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
		l, name := store.Layer(layer), layer+".weight"
		dst[name] = checkpoints.Array{Name: name, Shape: []int{l.Out, l.In}, Data: make([]float32, l.Out*l.In)}
	}
	loaded, missing, _, err := c.Match("model.npz", dst)
	if err != nil {
		return nil, err
	}
	if cfg.STF.From != "" && len(missing) > 0 {
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
