package stf

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/recipe"
)

// latentWeight is the reading of STF in which the factorizer stands between a dense weight W and the loss, as a quantiser
// does: (C, D) = Factorize(W) forward, dW = dL/d(C D) backward. Latent values are W [V, G B] as the layer is cut: W, or with
// blocks of outputs Wᵀ.
type latentWeight struct {
	cfg            recipe.STFLatent
	store, latents *nn.Store
}

func (latentWeight) coefficients() bool { return false }

func (r latentWeight) held(layer string) []string { return factorNames(layer) }

func (r latentWeight) start(layer string, w *factor.Matrix) error {
	if _, k := denseSparse(r.store, layer); k.Axis == "out" {
		w = w.Transpose()
	}
	d := r.latents.Get(nn.Latent(layer))
	for i, x := range w.Data {
		nn.SetAt(d, i, x)
	}
	return nil
}

// weight is W [out, in].
func (r latentWeight) weight(layer string) *factor.Matrix {
	d := r.latents.Get(nn.Latent(layer))
	l, k := denseSparse(r.store, layer)
	side, vectors := k.Cut(l.In, l.Out)
	w := factor.NewMatrix(vectors, side)
	for i := range w.Data {
		w.Data[i] = nn.At(d, i)
	}
	if k.Axis == "out" {
		return w.Transpose()
	}
	return w
}

// project fits C to W: on the choice of atoms that there is, by least squares, and every refresh steps on another.
func (r latentWeight) project(layer string, step int) error {
	w := r.weight(layer)
	f, err := r.store.DenseSparse(layer)
	if err != nil {
		return err
	}
	unitAtoms(f)
	ctx := context.Background() // a step that has begun ends
	if f, err = f.Refit(ctx, w); err != nil {
		return err
	}
	if step%r.cfg.Refresh == 0 {
		if f, err = r.search(ctx, layer, w, f); err != nil {
			return err
		}
	}
	return r.store.SetDenseSparse(layer, f)
}

// search looks for better atoms and a better choice of them.
func (r latentWeight) search(ctx context.Context, layer string, w *factor.Matrix, old *factor.DenseSparseFactors) (*factor.DenseSparseFactors, error) {
	found, err := factor.DenseSparse(ctx, w, factorConfig(r.store.Layer(layer), r.cfg.Sweeps, 0), old, nil)
	if err != nil || r.cfg.Margin == 0 {
		return found, err
	}
	same := *old
	same.Dictionaries = found.Dictionaries
	kept, err := same.Refit(ctx, w)
	if err != nil {
		return nil, err
	}
	before, after := vectorErrors(kept, w), vectorErrors(found, w)
	for g, c := range found.Codes {
		for i := range c.Vectors {
			if at := g*c.Vectors + i; after[at] > (1-r.cfg.Margin)*before[at] {
				lo, hi := i*c.Nonzeros, (i+1)*c.Nonzeros
				copy(c.Index[lo:hi], kept.Codes[g].Index[lo:hi])
				copy(c.Values[lo:hi], kept.Codes[g].Values[lo:hi])
			}
		}
	}
	return found, nil
}

func (r latentWeight) rest(layer string) ([]float64, error) {
	w := r.weight(layer)
	kernel.Axpy(-1, r.store.DenseWeight(layer), w.Data)
	if _, k := denseSparse(r.store, layer); k.Axis == "out" {
		w = w.Transpose()
	}
	return w.Data, nil
}

// vectorErrors are the squared errors of each vector of each block, block after block.
func vectorErrors(f *factor.DenseSparseFactors, w *factor.Matrix) []float64 {
	left := f.Product()
	kernel.Axpy(-1, w.Data, left.Data)
	if f.Axis == factor.AxisOut {
		left = left.Transpose()
	}
	errors := make([]float64, len(f.Codes)*left.Rows)
	for g := range f.Codes {
		for i := range left.Rows {
			v := left.Row(i)[g*f.Block : (g+1)*f.Block]
			errors[g*left.Rows+i] = kernel.Dot(v, v)
		}
	}
	return errors
}

// unitAtoms moves the norm of each atom to its coefficients, as the factorizer wants them; the product stays.
func unitAtoms(f *factor.DenseSparseFactors) {
	for d, dictionary := range f.Dictionaries {
		norms := make([]float64, dictionary.Rows)
		for k := range norms {
			atom := dictionary.Row(k)
			if norms[k] = math.Sqrt(kernel.Dot(atom, atom)); norms[k] > 0 {
				kernel.Scale(1/norms[k], atom)
			}
		}
		for g, c := range f.Codes {
			if len(f.Dictionaries) > 1 && g != d {
				continue
			}
			for i, k := range c.Index {
				c.Values[i] *= norms[k]
			}
		}
	}
}
