package compress

import (
	"fmt"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
)

// Form is a layer in another representation.
type Form struct {
	Linear nn.Rule             // without the name
	Arrays []checkpoints.Array // its parameters, under names that follow the layer's (".down.weight")
}

// DenseForm is a layer that keeps its matrix.
func DenseForm(t Target) *Form {
	return &Form{
		Linear: nn.Rule{OneOf: nn.As(nn.Dense{})},
		Arrays: []checkpoints.Array{{Name: ".weight", Shape: []int{t.Out, t.In}, Data: float32s(t.Weight.Data)}},
	}
}

// LowRankForm is the layer y = up (down x), whose scale alpha/r is 1.
func LowRankForm(up, down *factor.Matrix) *Form {
	return &Form{
		Linear: nn.Rule{OneOf: nn.As(nn.LowRank{Rank: up.Cols})},
		Arrays: []checkpoints.Array{
			{Name: ".down.weight", Shape: []int{down.Rows, down.Cols}, Data: float32s(down.Data)},
			{Name: ".up.weight", Shape: []int{up.Rows, up.Cols}, Data: float32s(up.Data)},
		},
	}
}

// DenseSparseForm is a layer of kind dense_sparse with these dictionaries and each block's codes: dictionary.weight [K, b] or,
// not shared, [G K, b], and sparse.values and sparse.indices [S, V], for each block its codes' first entries, then their second ones, and so on.
func DenseSparseForm(dictionaries []*factor.Matrix, codes []*factor.Codes, linear nn.Rule) *Form {
	var atoms, values []float32
	var index []uint8
	for _, d := range dictionaries {
		atoms = append(atoms, float32s(d.Data)...)
	}
	rows, vectors, width := 0, codes[0].Vectors, dictionaries[0].Cols
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
			{Name: ".dictionary.weight", Shape: []int{len(atoms) / width, width}, Data: atoms},
			{Name: ".sparse.values", Shape: []int{rows, vectors}, Data: values},
			{Name: ".sparse.indices", Shape: []int{rows, vectors}, Data: index},
		},
	}
}

// denseSparse returns the factors of such a form.
func (f *Form) denseSparse(t Target, k nn.DenseSparse) *factor.DenseSparseFactors {
	all, values, index := f.matrix(0), f.matrix(1), f.Arrays[2].Data.([]uint8)
	d := &factor.DenseSparseFactors{Rows: t.Out, Cols: t.In, Axis: factor.AxisIn, Block: k.Block}
	if k.Axis == "out" {
		d.Axis = factor.AxisOut
	}
	size := k.Atoms * k.Block
	for at := 0; at < len(all.Data); at += size {
		d.Dictionaries = append(d.Dictionaries, &factor.Matrix{Rows: k.Atoms, Cols: k.Block, Data: all.Data[at : at+size]})
	}
	vectors, at := values.Cols, 0
	for _, s := range k.BlockNonzeros(t.In, t.Out) {
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
	if k, ok := f.Linear.Of.(nn.DenseSparse); ok {
		return f.denseSparse(t, k).Product()
	}
	arrays := map[string]nn.Array{}
	for _, a := range f.Arrays {
		arrays[a.Name[1:]] = nn.Array{Shape: a.Shape, Data: a.Data}
	}
	return &factor.Matrix{Rows: t.Out, Cols: t.In, Data: f.Linear.Of.Matrix(arrays)}
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
