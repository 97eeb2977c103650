package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/factor"
)

// DenseSparseConfig is the [[model.linear]] table of layers, by a pattern of their names, that hold such factors.
func DenseSparseConfig(match string, f *factor.DenseSparseFactors) LinearConfig {
	c := LinearConfig{Match: match, Kind: "dense_sparse", Block: f.Block, Atoms: f.Dictionary(0).Rows, Axis: "in",
		Shared: len(f.Dictionaries) == 1}
	if f.Axis == factor.AxisOut {
		c.Axis = "out"
	}
	for _, codes := range f.Codes {
		c.Nonzeros = append(c.Nonzeros, codes.Nonzeros)
	}
	if first := c.Nonzeros[0]; !slices.ContainsFunc(c.Nonzeros, func(s int) bool { return s != first }) {
		c.Nonzeros = c.Nonzeros[:1]
	}
	return c
}

// SetDenseSparse puts factors into the named dense_sparse layer, which must have their layout: that of DenseSparseConfig.
// Values are rounded to the store's type once; nothing else changes, so the layer computes with the factors' product.
func (s *Store) SetDenseSparse(layer string, f *factor.DenseSparseFactors) error {
	l, ok := s.layers[layer]
	if !ok || l.Kind != "dense_sparse" {
		return fmt.Errorf("nn: %s: is no dense_sparse layer of this network", layer)
	}
	if l.Out != f.Rows || l.In != f.Cols {
		return fmt.Errorf("nn: %s: got factors of a %d x %d matrix, want %d x %d", layer, f.Rows, f.Cols, l.Out, l.In)
	}
	want, got := l.Config, DenseSparseConfig(l.Config.Match, f)
	if got.Block != want.Block || got.Atoms != want.Atoms || got.Axis != cmpAxis(want.Axis) || len(f.Dictionaries) != l.dictionaries() {
		return fmt.Errorf("nn: %s: got factors with block %d, %d atoms, axis %s, %d dictionaries; want block %d, %d atoms, axis %s, %d dictionaries",
			layer, got.Block, got.Atoms, got.Axis, len(f.Dictionaries), want.Block, want.Atoms, cmpAxis(want.Axis), l.dictionaries())
	}
	side, vectors := l.Cut()
	nonzeros := l.BlockNonzeros()
	if len(f.Codes) != len(nonzeros) {
		return fmt.Errorf("nn: %s: got %d blocks of codes, want %d of the side of %d", layer, len(f.Codes), len(nonzeros), side)
	}
	for g, c := range f.Codes {
		if c.Nonzeros != nonzeros[g] || c.Vectors != vectors {
			return fmt.Errorf("nn: %s: block %d has %d codes of %d nonzeros, want %d of %d", layer, g, c.Vectors, c.Nonzeros, vectors, nonzeros[g])
		}
		for _, k := range c.Index {
			if k < 0 || int(k) >= l.Config.Atoms {
				return fmt.Errorf("nn: %s: block %d has index %d, want 0 to %d", layer, g, k, l.Config.Atoms-1)
			}
		}
	}
	at := 0
	for _, d := range f.Dictionaries {
		for _, x := range d.Data {
			setFloat(s.values[layer+".dictionary.weight"], at, x)
			at++
		}
	}
	values, index := s.values[layer+".sparse.values"], s.atoms[layer+".sparse.indices"].Index
	at = 0
	for _, c := range f.Codes {
		for t := range c.Nonzeros {
			for i := range vectors {
				setFloat(values, at, c.Values[i*c.Nonzeros+t])
				index[at] = uint8(c.Index[i*c.Nonzeros+t])
				at++
			}
		}
	}
	return nil
}

// DenseSparse returns the factors of the named dense_sparse layer as they are now, for example to start a factorization
// from them. Their Error is 0; atoms that were trained need not have unit norm.
func (s *Store) DenseSparse(layer string) (*factor.DenseSparseFactors, error) {
	l, ok := s.layers[layer]
	if !ok || l.Kind != "dense_sparse" {
		return nil, fmt.Errorf("nn: %s: is no dense_sparse layer of this network", layer)
	}
	f := &factor.DenseSparseFactors{Rows: l.Out, Cols: l.In, Axis: factor.AxisIn, Block: l.Config.Block}
	if l.Config.Axis == "out" {
		f.Axis = factor.AxisOut
	}
	d := s.float64s(layer + ".dictionary.weight")
	size := l.Config.Atoms * l.Config.Block
	for at := 0; at < len(d); at += size {
		f.Dictionaries = append(f.Dictionaries, &factor.Matrix{Rows: l.Config.Atoms, Cols: l.Config.Block, Data: d[at : at+size]})
	}
	values, index := s.float64s(layer+".sparse.values"), s.atoms[layer+".sparse.indices"].Index
	_, vectors := l.Cut()
	at := 0
	for _, nonzeros := range l.BlockNonzeros() {
		c := &factor.Codes{Vectors: vectors, Nonzeros: nonzeros, Index: make([]int32, nonzeros*vectors), Values: make([]float64, nonzeros*vectors)}
		for t := range nonzeros {
			for i := range vectors {
				c.Values[i*nonzeros+t], c.Index[i*nonzeros+t] = values[at], int32(index[at])
				at++
			}
		}
		f.Codes = append(f.Codes, c)
	}
	return f, nil
}

func setFloat(d *tensor.Dense, i int, x float64) {
	if d.Dtype() == tensor.Float32 {
		d.Float32s()[i] = float32(x)
	} else {
		d.Float64s()[i] = x
	}
}
