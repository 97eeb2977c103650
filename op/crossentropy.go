package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Ignored is the target of a position that does not count.
const Ignored = -1

// CrossEntropy is the sum over rows of log(sum_j exp(logits[n,j])) -
// logits[n,targets[n]], in nats, rows whose target is Ignored left out. The sum
// is divided by the number of targets by whoever knows it over all micro-batches.
//
// logits [N, V], targets [N] integers -> loss [1].
// Backward: dlogits = dloss * (softmax(logits) - onehot(target)).
func CrossEntropy(t *Tape, logits, targets *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return crossEntropy[float32](t, logits, targets)
	}
	return crossEntropy[float64](t, logits, targets)
}

func crossEntropy[T kernel.Float](t *Tape, logits, targets *G.Node) *G.Node {
	n, vocab := matrix("cross_entropy", "logits", logits)
	wantShape("cross_entropy", "targets", targets, n)
	lse := t.buffer(n)
	o := t.operator("cross_entropy", tensor.Shape{1})
	o.aux = []*buffer{lse}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, targets, lse := data[T](in[0]), ints(in[1]), floats[T](lse)
		for i, target := range targets {
			if target != Ignored && (target < 0 || target >= vocab) {
				return fmt.Errorf("target %d at position %d, want 0 to %d or %d", target, i, vocab-1, Ignored)
			}
		}
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				lse[i] = kernel.LogSumExp(x[i*vocab:(i+1)*vocab], 1)
			}
		})
		var loss float64
		for i, target := range targets {
			if target != Ignored {
				loss += float64(lse[i]) - float64(x[i*vocab+target])
			}
		}
		data[T](out)[0] = T(loss)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("cross_entropy.grad", tensor.Shape{n, vocab}, 0)
		back.aux = []*buffer{lse}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			x, targets, dloss := data[T](in[0]), ints(in[1]), data[T](in[2])[0]
			dx, lse := data[T](out), floats[T](lse)
			kernel.Ranges(n, rowGrain, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					row := dx[i*vocab : (i+1)*vocab]
					if targets[i] == Ignored {
						clear(row)
						continue
					}
					kernel.ExpShift(row, x[i*vocab:(i+1)*vocab], 1, lse[i])
					row[targets[i]]--
					if dloss != 1 {
						kernel.Scale(dloss, row)
					}
				}
			})
			return nil
		}
		return G.Nodes{t.apply(back, in[0], in[1], dy), nil}
	}
	return t.apply(o, logits, targets)
}
