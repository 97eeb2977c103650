package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// GatedAdd is y = a + gate ∘ b, the gate the same for every row.
//
// a and b [N, D], gate [D] -> y [N, D].
//
// Backward: da = dy, db = gate ∘ dy, dgate = sum over rows of dy ∘ b.
func GatedAdd(a, b *G.Node, gate Param) *G.Node {
	if gate.tape.Dtype == tensor.Float32 {
		return gatedAdd[float32](a, b, gate)
	}
	return gatedAdd[float64](a, b, gate)
}

func gatedAdd[T kernel.Float](a, b *G.Node, gate Param) *G.Node {
	n, d := matrix("gated_add", "a", a)
	wantShape("gated_add", "b", b, n, d)
	wantShape("gated_add", "gate", gate.Node, d)
	t := gate.tape
	o := t.operator("gated_add", tensor.Shape{n, d}, 1)
	o.run = func(in []G.Value, out *tensor.Dense) error {
		a, b, gate, y := data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](out)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row, ra, rb := y[i*d:(i+1)*d], a[i*d:(i+1)*d], b[i*d:(i+1)*d]
				for j, g := range gate {
					row[j] = ra[j] + g*rb[j]
				}
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		const iDy, iB, iGate = 0, 1, 2
		pieces := (n + rowGrain - 1) / rowGrain
		parts := t.buffer(pieces * d) // of dgate, a piece of rows each
		back := t.operator("gated_add.grad", tensor.Shape{n, d}, iB)
		back.aux = []*buffer{parts}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, b, g, db, parts := data[T](in[iDy]), data[T](in[iB]), data[T](in[iGate]), data[T](out), floats[T](parts)
			kernel.Ranges(n, rowGrain, func(lo, hi int) {
				part := parts[lo/rowGrain*d:][:d]
				clear(part)
				for i := lo; i < hi; i++ {
					rdy, rb, rdb := dy[i*d:(i+1)*d], b[i*d:(i+1)*d], db[i*d:(i+1)*d]
					for j, x := range rdy {
						part[j] += x * rb[j]
						rdb[j] = g[j] * x
					}
				}
			})
			if !gate.wanted() {
				return nil
			}
			dst, add := gate.open()
			dgate := data[T](dst)
			if !add {
				clear(dgate)
			}
			for i := range pieces {
				kernel.Axpy(1, parts[i*d:(i+1)*d], dgate)
			}
			return gate.close()
		}
		db := t.apply(back, dy, in[1], in[2])
		return G.Nodes{dy, db, db}
	}
	return t.apply(o, a, b, gate.Node)
}
