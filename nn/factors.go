package nn

import (
	"fmt"
	"slices"

	"sparrow/factor"
)

// DenseSparseOf is the kind of layers that hold such factors.
func DenseSparseOf(f *factor.DenseSparseFactors) DenseSparse {
	k := DenseSparse{Block: f.Block, Atoms: f.Dictionary(0).Rows, Axis: "in", Shared: len(f.Dictionaries) == 1}
	if f.Axis == factor.AxisOut {
		k.Axis = "out"
	}
	for _, codes := range f.Codes {
		k.Nonzeros = append(k.Nonzeros, codes.Nonzeros)
	}
	if first := k.Nonzeros[0]; !slices.ContainsFunc(k.Nonzeros, func(s int) bool { return s != first }) {
		k.Nonzeros = k.Nonzeros[:1]
	}
	return k
}

// denseSparse returns the named layer, which must be of that kind.
func (s *Store) denseSparse(layer string) (Layer, DenseSparse, error) {
	l := s.layers[layer]
	k, ok := l.Rule.Of.(DenseSparse)
	if !ok {
		return l, k, fmt.Errorf("nn: %s: is no dense_sparse layer of this network", layer)
	}
	return l, k, nil
}

// SetDenseSparse puts factors into the named dense_sparse layer, which must have their layout: that of DenseSparseOf.
// Values are rounded to the store's type once; nothing else changes, so the layer computes with the factors' product.
func (s *Store) SetDenseSparse(layer string, f *factor.DenseSparseFactors) error {
	l, want, err := s.denseSparse(layer)
	if err != nil {
		return err
	}
	if l.Out != f.Rows || l.In != f.Cols {
		return fmt.Errorf("nn: %s: got factors of a %d x %d matrix, want %d x %d", layer, f.Rows, f.Cols, l.Out, l.In)
	}
	got, nonzeros := DenseSparseOf(f), want.BlockNonzeros(l.In, l.Out)
	dictionaries := want.dictionaries(len(nonzeros))
	if got.Block != want.Block || got.Atoms != want.Atoms || got.Axis != want.axis() || len(f.Dictionaries) != dictionaries {
		return fmt.Errorf("nn: %s: got factors with block %d, %d atoms, axis %s, %d dictionaries; want block %d, %d atoms, axis %s, %d dictionaries",
			layer, got.Block, got.Atoms, got.Axis, len(f.Dictionaries), want.Block, want.Atoms, want.axis(), dictionaries)
	}
	side, vectors := want.Cut(l.In, l.Out)
	if len(f.Codes) != len(nonzeros) {
		return fmt.Errorf("nn: %s: got %d blocks of codes, want %d of the side of %d", layer, len(f.Codes), len(nonzeros), side)
	}
	for g, c := range f.Codes {
		if c.Nonzeros != nonzeros[g] || c.Vectors != vectors {
			return fmt.Errorf("nn: %s: block %d has %d codes of %d nonzeros, want %d of %d", layer, g, c.Vectors, c.Nonzeros, vectors, nonzeros[g])
		}
		for _, k := range c.Index {
			if k < 0 || int(k) >= want.Atoms {
				return fmt.Errorf("nn: %s: block %d has index %d, want 0 to %d", layer, g, k, want.Atoms-1)
			}
		}
	}
	at := 0
	for _, d := range f.Dictionaries {
		for _, x := range d.Data {
			SetAt(s.values[layer+".dictionary.weight"], at, x)
			at++
		}
	}
	values, index := s.values[layer+".sparse.values"], s.atoms[layer+".sparse.indices"].Index
	at = 0
	for _, c := range f.Codes {
		for t := range c.Nonzeros {
			for i := range vectors {
				SetAt(values, at, c.Values[i*c.Nonzeros+t])
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
	l, k, err := s.denseSparse(layer)
	if err != nil {
		return nil, err
	}
	f := &factor.DenseSparseFactors{Rows: l.Out, Cols: l.In, Axis: factor.AxisIn, Block: k.Block}
	if k.Axis == "out" {
		f.Axis = factor.AxisOut
	}
	d := s.float64s(layer + ".dictionary.weight")
	size := k.Atoms * k.Block
	for at := 0; at < len(d); at += size {
		f.Dictionaries = append(f.Dictionaries, &factor.Matrix{Rows: k.Atoms, Cols: k.Block, Data: d[at : at+size]})
	}
	values, index := s.float64s(layer+".sparse.values"), s.atoms[layer+".sparse.indices"].Index
	_, vectors := k.Cut(l.In, l.Out)
	at := 0
	for _, nonzeros := range k.BlockNonzeros(l.In, l.Out) {
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
