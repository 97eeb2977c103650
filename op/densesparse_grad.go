package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// backward adds the operator that computes all gradients of a dense-sparse layer.
func (s *denseSparseLayer[T]) backward(o *operator, v G.Nodes, dy *G.Node) *G.Node {
	t := o.tape
	wantX := o.wants(dsX)
	operands := append(append(G.Nodes{}, v...), dy)
	iDy, iAcc := len(v), len(v)+1
	shape, inPlace := tensor.Shape{1}, []int(nil)
	if wantX {
		// x is read before dx is written, so dx may take its place.
		shape, inPlace = tensor.Shape{s.n, s.in}, []int{dsX}
		if acc := takePending(v[dsX]); acc != nil {
			operands = append(operands, acc)
			inPlace = []int{iAcc, dsX}
		}
	}
	back := t.operator("dense_sparse.grad", shape, inPlace...)
	scratch := t.buffer(s.vectors * s.side)
	parts := t.buffer(s.gradPieces() * s.Dictionary.Shape().TotalSize())
	back.aux = []*buffer{scratch, parts}
	var unwanted *buffer // gradients of frozen values, which come with the dictionary's
	if !s.Values.wanted() {
		unwanted = t.buffer(s.Values.Shape().TotalSize())
		back.aux = append(back.aux, unwanted)
	}
	back.run = func(v []G.Value, out *tensor.Dense) error {
		x, dy, w := data[T](v[dsX]), data[T](v[iDy]), floats[T](scratch)
		exact, straight := s.Dictionary.wanted() || s.Values.wanted(), wanted(s.Product) || wanted(s.Coefficients)
		if exact || straight {
			s.productGrad(w, x, dy)
		}
		if straight {
			s.straightGrads(v, w)
		}
		if exact {
			s.factorGrads(v, w, floats[T](parts), unwanted)
		}
		if p := s.Bias; p != nil && p.wanted() {
			db, add := p.open()
			kernel.ColSum(data[T](db), dy, s.n, s.out, add)
		}
		if wantX {
			dx := data[T](out)
			if iAcc < len(v) {
				assign(dx, data[T](v[iAcc]))
			}
			s.materialize(w, v)
			// W is [O, I], or with blocks of outputs it is its transpose.
			ldw := s.side
			kernel.GemmAs(s.reads(), false, s.Outputs, s.n, s.in, s.out, 1, dy, s.out, w, ldw, betaOf[T](iAcc < len(v)), dx, s.in)
		}
		return closeAll(&s.Dictionary, &s.Values, s.Bias, s.Product, s.Coefficients)
	}
	return t.apply(back, operands...)
}

// productGrad forms P = dL/d(C D) [V, side]: dyᵀ x, or with blocks of outputs xᵀ dy.
func (s *denseSparseLayer[T]) productGrad(p, x, dy []T) {
	if s.Outputs {
		kernel.GemmAs(s.reads(), true, false, s.vectors, s.side, s.n, 1, x, s.in, dy, s.out, 0, p, s.side)
		return
	}
	kernel.GemmAs(s.reads(), true, false, s.vectors, s.side, s.n, 1, dy, s.out, x, s.in, 0, p, s.side)
}

// wanted says whether there is such a parameter and it wants its gradient.
func wanted(p *Param) bool { return p != nil && p.wanted() }

// straightGrads hands P to the latent product, and P_g D_gᵀ of every block to the latent coefficients.
func (s *denseSparseLayer[T]) straightGrads(v []G.Value, p []T) {
	if wanted(s.Product) {
		dst, add := s.Product.open()
		if w := data[T](dst); add {
			kernel.Ranges(len(p), elementGrain, func(lo, hi int) { kernel.Add(w[lo:hi], w[lo:hi], p[lo:hi]) })
		} else {
			copy(w, p)
		}
	}
	if wanted(s.Coefficients) {
		dst, add := s.Coefficients.open()
		c, size := data[T](dst), s.vectors*s.Atoms
		for g := range s.blocks {
			kernel.GemmAs(s.reads(), false, true, s.vectors, s.Atoms, s.width, 1, p[g*s.width:], s.side, s.atomsOf(v, g), s.width, betaOf[T](add), c[g*size:(g+1)*size], s.Atoms)
		}
	}
}

// gradPieces is into how many parts the blocks are cut for the gradients, each with a partial sum of a shared dictionary's.
func (s *denseSparseLayer[T]) gradPieces() int {
	if s.shared {
		return min(s.blocks, 8)
	}
	return 1 // the blocks' gradients lie side by side
}

// factorGrads hands the gradients of D and of the values to their sinks: dD_g = C_gᵀ P_g, dC_g = P_g D_gᵀ at the places.
func (s *denseSparseLayer[T]) factorGrads(v []G.Value, p, parts []T, unwanted *buffer) {
	var values []T
	if s.Values.wanted() {
		dst, add := s.Values.open()
		if values = data[T](dst); !add {
			clear(values)
		}
	} else {
		values = floats[T](unwanted)
	}
	size, pieces := s.Atoms*s.width, s.gradPieces()
	if !s.shared {
		pieces = s.blocks
	}
	kernel.Parallel(pieces, func(piece int) {
		sum := parts[piece*size : (piece+1)*size]
		clear(sum)
		for g := piece * s.blocks / pieces; g < (piece+1)*s.blocks/pieces; g++ {
			lo, hi := s.first[g]*s.vectors, s.first[g+1]*s.vectors
			s.codes(v, g, 0).RowsGrad(values[lo:hi], sum, p[g*s.width:], s.side, s.vectors)
		}
	})
	if !s.Dictionary.wanted() {
		return
	}
	dst, more := s.Dictionary.open()
	d := data[T](dst)
	if !more {
		clear(d)
	}
	for at := 0; at < len(parts); at += len(d) {
		kernel.Add(d, d, parts[at:at+len(d)])
	}
}
