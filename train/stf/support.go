package stf

import (
	"math"

	"gorgonia.org/tensor"

	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/nn"
)

// latentSupport is the reading of STF in which only the choice of atoms is straight-through: latent coefficients C~ of all
// atoms, of which forward takes the s of each vector with the largest |c| ||d||, and backward dC~ = dL/dC = P Dᵀ for all.
// Latent values are C~ [G V, K].
type latentSupport struct{ store, latents *nn.Store }

func (latentSupport) coefficients() bool { return true }

func (r latentSupport) held(layer string) []string { return []string{Codes(layer)} }

// beside is the most that an atom which is not chosen starts with, over the least of those that are.
const beside = 0.9

// start takes C for the atoms that are chosen. Others start with what the weight leaves for them, <w - C D, d> / ||d||², as
// far as that does not change the choice.
func (r latentSupport) start(layer string, w *factor.Matrix) error {
	f, err := r.store.DenseSparse(layer)
	if err != nil {
		return err
	}
	left := f.Product()
	kernel.Scale(-1, left.Data)
	kernel.Axpy(1, w.Data, left.Data)
	if f.Axis == factor.AxisOut {
		left = left.Transpose()
	}
	latents, size := r.latents.Get(nn.Latent(layer)), f.Dictionary(0).Rows
	for g, c := range f.Codes {
		d := f.Dictionary(g)
		norms := atomNorms(d)
		for i := range c.Vectors {
			index, values := c.Index[i*c.Nonzeros:(i+1)*c.Nonzeros], c.Values[i*c.Nonzeros:(i+1)*c.Nonzeros]
			least := math.Inf(1)
			for t, k := range index {
				least = min(least, math.Abs(values[t])*norms[k])
			}
			row, v := (g*c.Vectors+i)*size, left.Row(i)[g*f.Block:(g+1)*f.Block]
			for k := range size {
				if norms[k] > 0 {
					most := beside * least / norms[k]
					nn.SetAt(latents, row+k, max(-most, min(most, kernel.Dot(v, d.Row(k))/(norms[k]*norms[k]))))
				}
			}
			for t, k := range index {
				nn.SetAt(latents, row+int(k), values[t])
			}
		}
	}
	return nil
}

func atomNorms(d *factor.Matrix) []float64 {
	norms := make([]float64, d.Rows)
	for k := range norms {
		norms[k] = math.Sqrt(kernel.Dot(d.Row(k), d.Row(k)))
	}
	return norms
}

// project chooses the atoms of every vector.
func (r latentSupport) project(layer string, _ int) error {
	f, err := r.store.DenseSparse(layer)
	if err != nil {
		return err
	}
	latents, size := r.latents.Get(nn.Latent(layer)), f.Dictionary(0).Rows
	for g, c := range f.Codes {
		norms := atomNorms(f.Dictionary(g))
		kernel.Ranges(c.Vectors, 64, func(lo, hi int) {
			scores, had := make([]float64, size), make([]bool, size)
			for i := lo; i < hi; i++ {
				row := (g*c.Vectors + i) * size
				index, values := c.Index[i*c.Nonzeros:(i+1)*c.Nonzeros], c.Values[i*c.Nonzeros:(i+1)*c.Nonzeros]
				clear(had)
				for _, k := range index {
					had[k] = true
				}
				for k := range scores {
					scores[k] = math.Abs(nn.At(latents, row+k)) * norms[k]
				}
				largestScores(scores, had, index)
				for t, k := range index {
					values[t] = nn.At(latents, row+int(k))
				}
			}
		})
	}
	return r.store.SetDenseSparse(layer, f)
}

// largestScores sets index to the places of the largest scores, in ascending order. Of equal ones those that it had stay,
// then the first. Scores it takes are lost.
func largestScores(scores []float64, had []bool, index []int32) {
	for t := range index {
		best := -1
		for k, x := range scores {
			if x >= 0 && (best < 0 || x > scores[best] || x == scores[best] && had[k] && !had[best]) {
				best = k
			}
		}
		scores[best] = -1
		at := t
		for ; at > 0 && index[at-1] > int32(best); at-- {
			index[at] = index[at-1]
		}
		index[at] = int32(best)
	}
}

// chosen sets dst [S, V], which belongs to the values of a layer, to what src [G V, K] has for the atoms that they use.
func (r latentSupport) chosen(layer string, src, dst *tensor.Dense) error {
	f, err := r.store.DenseSparse(layer)
	if err != nil {
		return err
	}
	size, first := f.Dictionary(0).Rows, 0
	for g, c := range f.Codes {
		for i := range c.Vectors {
			for t, k := range c.Index[i*c.Nonzeros : (i+1)*c.Nonzeros] {
				nn.SetAt(dst, (first+t)*c.Vectors+i, nn.At(src, (g*c.Vectors+i)*size+int(k)))
			}
		}
		first += c.Nonzeros
	}
	return nil
}

func (r latentSupport) rest(layer string) ([]float64, error) {
	f, err := r.store.DenseSparse(layer)
	if err != nil {
		return nil, err
	}
	latents, size := r.latents.Get(nn.Latent(layer)), f.Dictionary(0).Rows
	rest := make([]float64, latents.Shape().TotalSize())
	for i := range rest {
		rest[i] = nn.At(latents, i)
	}
	for g, c := range f.Codes {
		for j, k := range c.Index {
			rest[(g*c.Vectors+j/c.Nonzeros)*size+int(k)] = 0
		}
	}
	return rest, nil
}
