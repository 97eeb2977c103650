package op

import (
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// SoftCrossEntropy is the cross entropy with targets that are distributions
// (label smoothing, mixup, cutmix), summed over rows, in nats:
//
//	loss = - sum over n, v of targets[n,v] * log softmax(logits[n])[v].
//
// logits [N, V], targets [N, V] -> loss [1]. A row of targets need not sum to
// one; one of zeros does not count. Targets get no gradient.
// Backward: dlogits[n] = dloss * (softmax(logits[n]) * sum(targets[n]) - targets[n]).
func SoftCrossEntropy(t *Tape, logits, targets *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return softCrossEntropy[float32](t, logits, targets)
	}
	return softCrossEntropy[float64](t, logits, targets)
}

func softCrossEntropy[T kernel.Float](t *Tape, logits, targets *G.Node) *G.Node {
	n, classes := matrix("soft_cross_entropy", "logits", logits)
	wantShape("soft_cross_entropy", "targets", targets, n, classes)
	lse, rows := t.buffer(n), t.buffer(n)
	o := t.operator("soft_cross_entropy", tensor.Shape{1})
	o.aux = []*buffer{lse, rows}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, p, lse, rows := data[T](in[0]), data[T](in[1]), floats[T](lse), floats[T](rows)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row, target := x[i*classes:(i+1)*classes], p[i*classes:(i+1)*classes]
				lse[i] = kernel.LogSumExp(row, 1)
				var loss float64
				for j, q := range target {
					if q != 0 { // a class that cannot be may have a logit of -Inf
						loss += float64(q) * (float64(lse[i]) - float64(row[j]))
					}
				}
				rows[i] = T(loss)
			}
		})
		var loss float64
		for _, row := range rows {
			loss += float64(row)
		}
		data[T](out)[0] = T(loss)
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("soft_cross_entropy.grad", tensor.Shape{n, classes}, 0)
		back.aux = []*buffer{lse}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			x, p, dloss := data[T](in[0]), data[T](in[1]), data[T](in[2])[0]
			dx, lse := data[T](out), floats[T](lse)
			kernel.Ranges(n, rowGrain, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					row, target := dx[i*classes:(i+1)*classes], p[i*classes:(i+1)*classes]
					mass := kernel.Sum(target)
					if mass == 0 {
						clear(row)
						continue
					}
					kernel.ExpShift(row, x[i*classes:(i+1)*classes], 1, lse[i]-T(math.Log(float64(mass))))
					kernel.Axpy(-1, target, row)
					kernel.Scale(dloss, row)
				}
			})
			return nil
		}
		return G.Nodes{t.apply(back, in[0], in[1], dy), nil}
	}
	return t.apply(o, logits, targets)
}
