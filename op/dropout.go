package op

import (
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Dropout zeroes each element with probability p and divides the others by 1-p.
//
// Which ones is a function of (seed, step, index) alone: seed names the layer,
// and step [1] is an integer input, fed at run time, that counts micro-batches.
// So nothing is stored for the backward pass, and a resumed run draws the same.
func Dropout(t *Tape, x, step *G.Node, p float64, seed uint64) *G.Node {
	if p == 0 || !t.training {
		return x
	}
	if t.Dtype == tensor.Float32 {
		return dropout[float32](t, x, step, p, seed)
	}
	return dropout[float64](t, x, step, p, seed)
}

func dropout[T kernel.Float](t *Tape, x, step *G.Node, p float64, seed uint64) *G.Node {
	wantShape("dropout", "step", step, 1)
	threshold := uint64(p * (1 << 32))
	factor := [2]T{T(1 / (1 - p)), 0}
	run := func(in []G.Value, out *tensor.Dense) error {
		x, y, key := data[T](in[0]), data[T](out), mix(seed+mix(uint64(ints(in[1])[0])))
		kernel.Ranges(len(y), elementGrain, func(lo, hi int) {
			dropElements(y[lo:hi], x[lo:hi], key+uint64(lo), threshold, &factor)
		})
		return nil
	}
	o := t.operator("dropout", x.Shape().Clone(), 0)
	o.run = run
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("dropout.grad", x.Shape().Clone(), 0)
		back.run = run
		return G.Nodes{t.apply(back, dy, in[1]), nil}
	}
	return t.apply(o, x, step)
}

// dropElements multiplies each element by factor[1] where its 32 random bits are
// below threshold, else by factor[0]: a choice by index, since a branch would be
// mispredicted for every element dropped. Two elements share one draw, so a piece
// of parallel work must start at an even index (elementGrain is even).
func dropElements[T kernel.Float](y, x []T, key, threshold uint64, factor *[2]T) {
	x = x[:len(y)]
	i := 0
	for ; i+1 < len(y); i += 2 {
		r := mix(key + uint64(i))
		y[i] = x[i] * factor[(r>>32-threshold)>>63]
		y[i+1] = x[i+1] * factor[(r&math.MaxUint32-threshold)>>63]
	}
	if i < len(y) {
		y[i] = x[i] * factor[(mix(key+uint64(i))>>32-threshold)>>63]
	}
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
