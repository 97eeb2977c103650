package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// DropPath is stochastic depth by sample (Huang et al. 2016): each of batch
// samples is set to zero with probability p and divided by 1-p otherwise.
//
// x [B*N, C] of B = batch samples -> y [B*N, C]. The choice is a function of
// (seed, step, sample), as in [Dropout].
func DropPath(t *Tape, x, step *G.Node, batch int, p float64, seed uint64) *G.Node {
	if p == 0 || !t.training {
		return x
	}
	if t.Dtype == tensor.Float32 {
		return dropPath[float32](t, x, step, batch, p, seed)
	}
	return dropPath[float64](t, x, step, batch, p, seed)
}

func dropPath[T kernel.Float](t *Tape, x, step *G.Node, batch int, p float64, seed uint64) *G.Node {
	wantShape("drop_path", "step", step, 1)
	rows, c := matrix("drop_path", "x", x)
	if batch < 1 || rows%batch != 0 {
		panic(&ShapeError{"drop_path", "x", x.Shape(), fmt.Sprintf("rows of %d samples", batch)})
	}
	size := rows / batch * c
	threshold := uint64(p * (1 << 32))
	factor := T(1 / (1 - p))
	run := func(in []G.Value, out *tensor.Dense) error {
		x, y, key := data[T](in[0]), data[T](out), mix(seed+mix(uint64(ints(in[1])[0])))
		kernel.Parallel(batch, func(b int) {
			sample := y[b*size : (b+1)*size]
			if mix(key+uint64(b))>>32 < threshold {
				clear(sample) // also where x is not finite
				return
			}
			assign(sample, x[b*size:(b+1)*size])
			kernel.Scale(factor, sample)
		})
		return nil
	}
	o := t.operator("drop_path", x.Shape().Clone(), 0)
	o.run = run
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("drop_path.grad", x.Shape().Clone(), 0)
		back.run = run
		return G.Nodes{t.apply(back, dy, in[1]), nil}
	}
	return t.apply(o, x, step)
}
