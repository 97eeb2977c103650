package op

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: N rows, I inputs, O outputs; one of the two sides is cut into G blocks of width B, the other has V vectors; K
// atoms, S the sum of the blocks' nonzeros.

// DenseSparse describes the weight of DSFormer (Chand, Prabhu and Kumar 2023): [C_1 D_1 | ... | C_G D_G], cut along one
// side of W, where every row of C_g [V, K] has exactly Nonzeros[g] entries at fixed places. With Outputs that is Wᵀ.
type DenseSparse struct {
	Dictionary Param   // D [K, B] of all blocks, or [G K, B], one after the other
	Values     Param   // [S, V]: row after row the first entry of every vector of a block, the second, ...
	Index      []uint8 // which atom each value belongs to, arranged as Values; nil: the graph is planned, never run
	Nonzeros   []int   // of each block
	Atoms      int     // K, up to 256
	Outputs    bool    // blocks cut the outputs, and each input is a vector; false: the other way round
	Bias       *Param
	Mode       string // "materialized", "factored", or "" for DenseSparsePays's choice

	// Latent values that the layer does not compute with and whose gradient is passed straight through: that of the
	// product C D at each place [V, G B], and those of the coefficients of all atoms, the chosen ones and the others,
	// [G V, K]. nil: there are none.
	Product, Coefficients *Param
}

// DenseSparsePays is the rule by which a layer's forward pass follows from its shape alone: whether products with C and D
// cost less than W, formed, and a dense product. It counts in multiply-adds of a dense product of some 30 to 130 rows. For
// a value, a look-up in a block's table costs as much as lookup of those, adding to a place of a table as much as add, and
// forming the value's part of W as much as form (BenchmarkDenseSparse, AVX-512).
func DenseSparsePays(n, vectors, side, atoms, nonzeros int, outputs bool) bool {
	const lookup, add, form = 5, 30, 60
	one := lookup
	if outputs {
		one = add
	}
	return n*(one*nonzeros*vectors+atoms*side) < n*vectors*side+form*nonzeros*vectors
}

// DenseSparseLinear is y = x Wᵀ + b with W as [DenseSparse] says.
//
// x [N, I], D [K, B] or [G K, B], values [S, V], b [O] -> y [N, O].
//
// "factored", for few rows, never forms W. Blocks of inputs: t_g = D_g x_g are K numbers, and y = sum over g of C_g t_g is
// a look-up in them for each value; blocks of outputs: z_g = C_gᵀ x, y_g = D_gᵀ z_g. Both cost S V + G K B multiply-adds
// for each row of x. "materialized" forms C D in a scratch that all layers share. Both give the same results to rounding.
//
// The backward pass is the same for both: with P = dL/d(C D), formed in the scratch and not kept, dD_g = C_gᵀ P_g, and
// the gradient of C_g is P_g D_gᵀ at the places of its entries. A latent product gets P, latent coefficients P_g D_gᵀ at
// all places: the straight-through gradients of DSFormer's factorizer.
func DenseSparseLinear(x *G.Node, l DenseSparse) *G.Node {
	if l.Values.tape.Dtype == tensor.Float32 {
		return denseSparse[float32](x, l)
	}
	return denseSparse[float64](x, l)
}

// denseSparseLayer is a DenseSparse with its sizes.
type denseSparseLayer[T kernel.Float] struct {
	DenseSparse
	n, in, out            int
	vectors, side, blocks int
	width                 int   // B
	first                 []int // of each block: its first row of values; one more at the end
	shared                bool
	bias                  int // place among the operands; beyond them: there is none
}

// maxAtoms is the most atoms of a dictionary: an index is a byte.
const maxAtoms = 256

func denseSparse[T kernel.Float](x *G.Node, l DenseSparse) *G.Node {
	const name = "dense_sparse"
	n, in := matrix(name, "x", x)
	rows, vectors := matrix(name, "values", l.Values.Node)
	atoms, width := matrix(name, "dictionary", l.Dictionary.Node)
	s := &denseSparseLayer[T]{DenseSparse: l, n: n, in: in, vectors: vectors, width: width, blocks: len(l.Nonzeros),
		side: width * len(l.Nonzeros), shared: atoms == l.Atoms, first: make([]int, len(l.Nonzeros)+1)}
	for g, k := range l.Nonzeros {
		s.first[g+1] = s.first[g] + k
	}
	wantShape(name, "values", l.Values.Node, s.first[s.blocks], vectors)
	if l.Atoms < 1 || l.Atoms > maxAtoms || !s.shared && atoms != s.blocks*l.Atoms {
		panic(&ShapeError{name, "dictionary", l.Dictionary.Shape(), fmt.Sprintf("%d atoms for all blocks or for each of %d, at most %d", l.Atoms, s.blocks, maxAtoms)})
	}
	if l.Index != nil && len(l.Index) != rows*vectors {
		panic(&ShapeError{name, "indices", tensor.Shape{len(l.Index)}, fmt.Sprintf("%d, as many as values", rows*vectors)})
	}
	s.out = vectors
	if l.Outputs {
		s.out = s.side
		wantShape(name, "x", x, n, vectors)
	} else {
		wantShape(name, "x", x, n, s.side)
	}
	operands := []*G.Node{x, l.Dictionary.Node, l.Values.Node}
	if s.bias = math.MaxInt; l.Bias != nil {
		wantShape(name, "bias", l.Bias.Node, s.out)
		s.bias = len(operands)
		operands = append(operands, l.Bias.Node)
	}
	if l.Product != nil {
		wantShape(name, "latent product", l.Product.Node, s.vectors, s.side)
		operands = append(operands, l.Product.Node)
	}
	if l.Coefficients != nil {
		wantShape(name, "latent coefficients", l.Coefficients.Node, s.blocks*s.vectors, l.Atoms)
		operands = append(operands, l.Coefficients.Node)
	}
	if s.Mode == "" {
		s.Mode = "materialized"
		if DenseSparsePays(n, vectors, s.side, l.Atoms, rows, l.Outputs) {
			s.Mode = "factored"
		}
	}
	t := l.Values.tape
	o := t.operator(name+"."+s.Mode, tensor.Shape{n, s.out})
	switch s.Mode {
	case "materialized":
		scratch := t.buffer(s.vectors * s.side)
		o.aux = []*buffer{scratch}
		o.run = func(v []G.Value, y *tensor.Dense) error {
			w := floats[T](scratch)
			s.materialize(w, v)
			s.denseForward(data[T](y), data[T](v[dsX]), w, biasOf[T](v, s.bias))
			return nil
		}
	case "factored":
		work := t.buffer(s.factoredWork())
		o.aux = []*buffer{work}
		o.run = func(v []G.Value, y *tensor.Dense) error {
			if l.Outputs {
				s.forwardOutputs(v, data[T](y), floats[T](work))
			} else {
				s.forwardInputs(v, data[T](y), floats[T](work))
			}
			return nil
		}
	default:
		panic(fmt.Sprintf("op: dense_sparse: no mode %q", s.Mode))
	}
	o.grad = func(o *operator, v G.Nodes, y, dy *G.Node) G.Nodes {
		dx := s.backward(o, v, dy)
		return slices.Repeat(G.Nodes{dx}, len(v))
	}
	return t.apply(o, operands...)
}

// reads is the precision of the layer's products.
func (s *denseSparseLayer[T]) reads() kernel.Precision { return s.Values.tape.Precision }

// Places of the first operands.
const dsX, dsDictionary, dsValues = 0, 1, 2

// atomsOf is the dictionary [K, B] of block g.
func (s *denseSparseLayer[T]) atomsOf(v []G.Value, g int) []T {
	d, size := data[T](v[dsDictionary]), s.Atoms*s.width
	if s.shared {
		return d
	}
	return d[g*size : (g+1)*size]
}

// row is row r of the values and their atoms.
func (s *denseSparseLayer[T]) row(v []G.Value, r int) ([]T, []uint8) {
	lo, hi := r*s.vectors, (r+1)*s.vectors
	return data[T](v[dsValues])[lo:hi], s.Index[lo:hi]
}

// codes are the rows of C_g from vector i on.
func (s *denseSparseLayer[T]) codes(v []G.Value, g, i int) kernel.Codes[T] {
	lo, hi := s.first[g]*s.vectors+i, s.first[g+1]*s.vectors
	return kernel.Codes[T]{Values: data[T](v[dsValues])[lo:hi], Index: s.Index[lo:hi], Stride: s.vectors, Terms: s.Nonzeros[g],
		Dictionary: s.atomsOf(v, g), Width: s.width}
}

// vectorGrain is how many vectors a task forms: their rows of W stay in the second-level cache while block after block is
// filled, and their values are whole cache lines.
const vectorGrain = 64

// materialize forms C D [V, side]: W, or with blocks of outputs its transpose.
func (s *denseSparseLayer[T]) materialize(w []T, v []G.Value) {
	kernel.Ranges(s.vectors, vectorGrain, func(lo, hi int) {
		for g := range s.blocks {
			s.codes(v, g, lo).Rows(w[lo*s.side+g*s.width:], s.side, hi-lo)
		}
	})
}

// denseForward is y = x Wᵀ + b of the W or Wᵀ in w.
func (s *denseSparseLayer[T]) denseForward(y, x, w, bias []T) {
	if !s.Outputs {
		linearForward(s.reads(), y, x, w, bias, s.n)
		return
	}
	s.startWith(y, bias)
	kernel.GemmAs(s.reads(), false, false, s.n, s.out, s.in, 1, x, s.in, w, s.out, betaOf[T](bias != nil), y, s.out)
}

// startWith sets every row of y to the bias, if there is one.
func (s *denseSparseLayer[T]) startWith(y, bias []T) {
	if bias == nil {
		return
	}
	kernel.Ranges(s.n, 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(y[i*s.out:(i+1)*s.out], bias)
		}
	})
}

// stride is the room of a block's table.
func (s *denseSparseLayer[T]) stride() int { return kernel.LookupStride(s.Atoms) }

// pieceValues is about how many values a task of the look-ups reads.
const pieceValues = 24 << 10

// pieces cuts the blocks of inputs into runs, each with partial sums of its own: a fixed number, so that the sums do not
// depend on the threads. A run reads its values and indices as one stream.
func (s *denseSparseLayer[T]) pieces() int {
	return max(1, min(s.blocks, 16, s.first[s.blocks]*s.vectors/pieceValues))
}

// factoredWork is the memory that the factored mode needs.
func (s *denseSparseLayer[T]) factoredWork() int {
	tables := s.n * s.blocks * s.stride()
	if s.Outputs {
		return tables
	}
	return tables + s.pieces()*s.n*s.out
}

// forwardInputs computes y = sum over g of C_g (D_g x_g) + b.
func (s *denseSparseLayer[T]) forwardInputs(v []G.Value, y, work []T) {
	x, stride, pieces := data[T](v[dsX]), s.stride(), s.pieces()
	tables, parts := work[:s.n*s.blocks*stride], work[s.n*s.blocks*stride:]
	s.eachDictionary(func(g, blocks int) {
		// All blocks that share it: [N blocks, B] [B, K].
		atoms, rows := s.atomsOf(v, g), s.n
		ldx, ldt := s.in, s.blocks*stride
		if blocks > 1 {
			rows, ldx, ldt = s.n*blocks, s.width, stride
		}
		kernel.GemmAs(s.reads(), false, true, rows, s.Atoms, s.width, 1, x[g*s.width:], ldx, atoms, s.width, 0, tables[g*stride:], ldt)
	})
	size := s.n * s.out
	kernel.Parallel(pieces, func(p int) {
		part := parts[p*size : (p+1)*size]
		clear(part)
		for g := p * s.blocks / pieces; g < (p+1)*s.blocks/pieces; g++ {
			for r := s.first[g]; r < s.first[g+1]; r++ {
				values, index := s.row(v, r)
				for i := range s.n {
					at := (i*s.blocks + g) * stride
					kernel.LookupAxpy(part[i*s.out:(i+1)*s.out], values, index, tables[at:at+s.Atoms:at+stride])
				}
			}
		}
	})
	bias := biasOf[T](v, s.bias)
	kernel.Ranges(s.n, max(1, elementGrain/s.out), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := y[i*s.out : (i+1)*s.out]
			if bias != nil {
				copy(row, bias)
			} else {
				clear(row)
			}
			for p := range pieces {
				kernel.Add(row, row, parts[p*size+i*s.out:])
			}
		}
	})
}

// forwardOutputs computes y_g = D_gᵀ (C_gᵀ x) + b_g.
func (s *denseSparseLayer[T]) forwardOutputs(v []G.Value, y, tables []T) {
	x, stride, bias := data[T](v[dsX]), s.stride(), biasOf[T](v, s.bias)
	kernel.Parallel(s.blocks, func(g int) {
		for i := range s.n {
			table := tables[(i*s.blocks+g)*stride:][:s.Atoms]
			clear(table)
			for r := s.first[g]; r < s.first[g+1]; r++ {
				values, index := s.row(v, r)
				kernel.LookupAdd(table, values, index, x[i*s.in:(i+1)*s.in])
			}
		}
	})
	s.startWith(y, bias)
	s.eachDictionary(func(g, blocks int) {
		atoms, rows := s.atomsOf(v, g), s.n
		ldy, ldt := s.out, s.blocks*stride
		if blocks > 1 {
			rows, ldy, ldt = s.n*blocks, s.width, stride
		}
		kernel.GemmAs(s.reads(), false, false, rows, s.width, s.Atoms, 1, tables[g*stride:], ldt, atoms, s.width, betaOf[T](bias != nil), y[g*s.width:], ldy)
	})
}

// eachDictionary calls f with the first block of each dictionary and how many blocks use it.
func (s *denseSparseLayer[T]) eachDictionary(f func(g, blocks int)) {
	if s.shared {
		f(0, s.blocks)
		return
	}
	kernel.Parallel(s.blocks, func(g int) { f(g, 1) })
}
