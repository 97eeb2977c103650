package compress

import (
	"fmt"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
)

// Form is a layer in another representation.
type Form struct {
	Linear nn.LinearConfig     // without the name
	Arrays []checkpoints.Array // its parameters, under names that follow the layer's (".down.weight")
}

// DenseForm is a layer that keeps its matrix.
func DenseForm(t Target) *Form {
	return &Form{
		Linear: nn.LinearConfig{Kind: stays},
		Arrays: []checkpoints.Array{{Name: ".weight", Shape: []int{t.Out, t.In}, Data: float32s(t.Weight.Data)}},
	}
}

// LowRankForm is the layer y = up (down x), whose scale alpha/r is 1.
func LowRankForm(up, down *factor.Matrix) *Form {
	return &Form{
		Linear: nn.LinearConfig{Kind: "low_rank", Rank: up.Cols},
		Arrays: []checkpoints.Array{
			{Name: ".down.weight", Shape: []int{down.Rows, down.Cols}, Data: float32s(down.Data)},
			{Name: ".up.weight", Shape: []int{up.Rows, up.Cols}, Data: float32s(up.Data)},
		},
	}
}

// DenseSparseForm is a layer of kind dense_sparse with these dictionaries and each block's codes: dictionary.weight [K, b] or,
// not shared, [G K, b], and sparse.values and sparse.indices [S, V], for each block its codes' first entries, then their second ones, and so on.
func DenseSparseForm(dictionaries []*factor.Matrix, codes []*factor.Codes, linear nn.LinearConfig) *Form {
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

// product is the weight [out, in] that a form stands for.
func (f *Form) product(t Target) *factor.Matrix {
	switch f.Linear.Kind {
	case "low_rank":
		return f.matrix(1).Mul(f.matrix(0))
	case "dense_sparse":
		return f.denseSparse(t).Product()
	}
	return f.matrix(0)
}

// matrix is one of the parameters.
func (f *Form) matrix(i int) *factor.Matrix {
	a := f.Arrays[i]
	m := factor.NewMatrix(a.Shape[0], a.Shape[1])
	for k, v := range a.Data.([]float32) {
		m.Data[k] = float64(v)
	}
	return m
}

// round replaces a form's values by those that come back from a checkpoint in the option's bits. Values that are no numbers
// are an error.
func (f *Form) round(o Option) error {
	if o.Quantize == "" {
		return nil
	}
	f.Linear.Quantize, f.Linear.QuantBlock = o.Quantize, o.QuantBlock
	for _, a := range f.Arrays {
		if x, ok := a.Data.([]float32); ok {
			if err := f.Linear.Quantization().Round(x); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// float32s rounds once.
func float32s(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// quality is how far a form is from its layer.
type quality struct {
	Loss     float64 `json:"loss"`     // by the layer's measure
	Relative float64 `json:"relative"` // ||W - product|| / ||W||
}

func (m importance) quality(w, product *factor.Matrix) quality {
	e := difference(w, product)
	q := quality{Loss: m.of(e)}
	if n := w.Norm(); n > 0 {
		q.Relative = e.Norm() / n
	}
	return q
}
