package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Modulate is y = x ∘ (1 + scale) + shift, with a scale and a shift of each element of the batch: the adaptive norm of a
// diffusion transformer (Peebles and Xie 2023, section 3.2).
//
// x [B*N, C], scale and shift [B, C] -> y [B*N, C].
//
// Backward: dx = dy ∘ (1 + scale), dscale = sum over rows of dy ∘ x, dshift = sum over rows of dy.
func Modulate(t *Tape, x, scale, shift *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return modulate[float32](t, "modulate", 1, x, scale, shift)
	}
	return modulate[float64](t, "modulate", 1, x, scale, shift)
}

// GateRows is y = x ∘ gate, with a gate of each element of the batch.
//
// x [B*N, C], gate [B, C] -> y [B*N, C].
//
// Backward: dx = dy ∘ gate, dgate = sum over rows of dy ∘ x.
func GateRows(t *Tape, x, gate *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return modulate[float32](t, "gate_rows", 0, x, gate, nil)
	}
	return modulate[float64](t, "gate_rows", 0, x, gate, nil)
}

// modulate is y = x ∘ (one + scale) + shift; without a shift nothing is added.
func modulate[T kernel.Float](t *Tape, name string, one T, x, scale, shift *G.Node) *G.Node {
	rows, c := matrix(name, "x", x)
	batch, _ := matrix(name, "scale", scale)
	if batch < 1 || rows%batch != 0 {
		panic(&ShapeError{name, "x", x.Shape(), fmt.Sprintf("rows of %d elements of a batch", batch)})
	}
	wantShape(name, "scale", scale, batch, c)
	operands := []*G.Node{x, scale}
	if shift != nil {
		wantShape(name, "shift", shift, batch, c)
		operands = append(operands, shift)
	}
	n := rows / batch
	o := t.operator(name, tensor.Shape{rows, c}, 0)
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, scale, y := data[T](in[0]), data[T](in[1]), data[T](out)
		var shift []T
		if len(in) > 2 {
			shift = data[T](in[2])
		}
		kernel.Ranges(rows, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				b := i / n * c
				from, to, s := x[i*c:(i+1)*c], y[i*c:(i+1)*c], scale[b:b+c]
				for j, v := range from {
					to[j] = v * (one + s[j])
				}
				if shift != nil {
					kernel.Add(to, to, shift[b:b+c])
				}
			}
		})
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		const iDy, iX, iScale = 0, 1, 2
		back := t.operator(name+".grad", tensor.Shape{rows, c}, iX)
		dscale := t.buffer(batch * c)
		back.aux = []*buffer{dscale}
		var dshift *buffer
		if shift != nil {
			dshift = t.buffer(batch * c)
			back.aux = append(back.aux, dshift)
		}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, x, scale, dx, ds := data[T](in[iDy]), data[T](in[iX]), data[T](in[iScale]), data[T](out), floats[T](dscale)
			var dt []T
			if dshift != nil {
				dt = floats[T](dshift)
			}
			kernel.Parallel(batch, func(b int) { // an element's sums are in one place, in the order of its rows
				own, s := ds[b*c:(b+1)*c], scale[b*c:(b+1)*c]
				clear(own)
				if dt != nil {
					clear(dt[b*c : (b+1)*c])
				}
				for i := b * n; i < (b+1)*n; i++ {
					from, at, to := dy[i*c:(i+1)*c], x[i*c:(i+1)*c], dx[i*c:(i+1)*c]
					if dt != nil {
						kernel.Add(dt[b*c:(b+1)*c], dt[b*c:(b+1)*c], from)
					}
					for j, g := range from {
						own[j] += g * at[j]
						to[j] = g * (one + s[j])
					}
				}
			})
			return nil
		}
		dx := t.apply(back, dy, in[0], in[1])
		grads := G.Nodes{dx, t.further(dx, dscale, tensor.Shape{batch, c})}
		if dshift != nil {
			grads = append(grads, t.further(dx, dshift, tensor.Shape{batch, c}))
		}
		return grads
	}
	return t.apply(o, operands...)
}
