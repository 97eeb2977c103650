package compress

import (
	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
)

// denseSparseForm is a layer of kind dense_sparse with these dictionaries and each block's codes: dictionary.weight [K, b] or, not shared, [G K, b], and
// sparse.values and sparse.indices [S, V], for each block its codes' first entries, then their second ones, and so on.
func denseSparseForm(dictionaries []*factor.Matrix, codes []*factor.Codes, linear nn.LinearConfig) *Form {
	var atoms, values []float32
	var index []uint8
	for _, d := range dictionaries {
		atoms = append(atoms, float32s(d.Data)...)
	}
	rows, vectors := 0, codes[0].Vectors
	for _, c := range codes {
		rows += c.Nonzeros
		for t := range c.Nonzeros {
			for i := range vectors {
				values = append(values, float32(c.Values[i*c.Nonzeros+t]))
				index = append(index, uint8(c.Index[i*c.Nonzeros+t]))
			}
		}
	}
	return &Form{
		Linear: linear,
		Arrays: []checkpoints.Array{
			{Name: ".dictionary.weight", Shape: []int{len(atoms) / linear.Block, linear.Block}, Data: atoms},
			{Name: ".sparse.values", Shape: []int{rows, vectors}, Data: values},
			{Name: ".sparse.indices", Shape: []int{rows, vectors}, Data: index},
		},
	}
}

// denseSparse returns the factors of such a form.
func (f *Form) denseSparse(t Target) *factor.DenseSparseFactors {
	all, values, index := f.matrix(0), f.matrix(1), f.Arrays[2].Data.([]uint8)
	d := &factor.DenseSparseFactors{Rows: t.Out, Cols: t.In, Axis: factor.AxisIn, Block: f.Linear.Block}
	if f.Linear.Axis == "out" {
		d.Axis = factor.AxisOut
	}
	size := f.Linear.Atoms * f.Linear.Block
	for at := 0; at < len(all.Data); at += size {
		d.Dictionaries = append(d.Dictionaries, &factor.Matrix{Rows: f.Linear.Atoms, Cols: f.Linear.Block, Data: all.Data[at : at+size]})
	}
	layer := nn.Layer{Kind: f.Linear.Kind, Out: t.Out, In: t.In, Config: f.Linear}
	vectors, at := values.Cols, 0
	for _, s := range layer.BlockNonzeros() {
		c := &factor.Codes{Vectors: vectors, Nonzeros: s, Index: make([]int32, s*vectors), Values: make([]float64, s*vectors)}
		for n := range s {
			for i := range vectors {
				c.Values[i*s+n], c.Index[i*s+n] = values.Data[at], int32(index[at])
				at++
			}
		}
		d.Codes = append(d.Codes, c)
	}
	return d
}
