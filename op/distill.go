package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Distill is a task's loss blended with the distance to a teacher's scores of the same rows (Hinton, Vinyals and Dean 2015,
// "Distilling the Knowledge in a Neural Network", section 2):
//
//	loss = (1-w) task + w T² sum over n of counts[n] KL(softmax(teacher[n] / T) || softmax(logits[n] / T)), in nats.
//
// T² keeps the gradients' size when T changes. task [1], logits [N, V], teacher [N, V], counts [N] -> loss [1]. Teacher and
// counts get no gradient; a score of the teacher may be -Inf.
// Backward: dtask = (1-w) dloss, dlogits[n] = dloss w T counts[n] (softmax(logits[n] / T) - softmax(teacher[n] / T)).
func Distill(t *Tape, task, logits, teacher, counts *G.Node, weight, temperature float64) *G.Node {
	if t.Dtype == tensor.Float32 {
		return distill[float32](t, task, logits, teacher, counts, weight, temperature)
	}
	return distill[float64](t, task, logits, teacher, counts, weight, temperature)
}

func distill[T kernel.Float](t *Tape, task, logits, teacher, counts *G.Node, weight, temperature float64) *G.Node {
	const name = "distill"
	n, vocab := matrix(name, "logits", logits)
	wantShape(name, "task", task, 1)
	wantShape(name, "teacher", teacher, n, vocab)
	wantShape(name, "counts", counts, n)
	sharpness := T(1 / temperature)
	soft, lse, rows := t.buffer(n*vocab), t.buffer(n), t.buffer(n)
	o := t.operator(name, tensor.Shape{1})
	o.aux = []*buffer{soft, lse, rows}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, z, counts := data[T](in[1]), data[T](in[2]), data[T](in[3])
		soft, lse, rows := floats[T](soft), floats[T](lse), floats[T](rows)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				x, z, p := x[i*vocab:(i+1)*vocab], z[i*vocab:(i+1)*vocab], soft[i*vocab:(i+1)*vocab]
				lse[i] = kernel.LogSumExp(x, sharpness)
				if rows[i] = 0; counts[i] == 0 {
					clear(p)
					continue
				}
				shift := kernel.SoftmaxRow(p, z, sharpness)
				var kl float64
				for j, q := range p {
					if q != 0 { // where the teacher's score may be -Inf
						kl += float64(q) * (float64(z[j]) - float64(x[j]))
					}
				}
				rows[i] = counts[i] * T(kl/temperature+float64(lse[i])-float64(shift))
			}
		})
		var kl float64
		for _, row := range rows {
			kl += float64(row)
		}
		data[T](out)[0] = T((1-weight)*float64(data[T](in[0])[0]) + weight*temperature*temperature*kl)
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		share := taskShare[T](t, name, weight)
		back := t.operator("distill.grad", tensor.Shape{n, vocab}, 0)
		back.aux = []*buffer{soft, lse}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			x, counts, dloss := data[T](in[0]), data[T](in[1]), data[T](in[2])[0]
			dx, soft, lse := data[T](out), floats[T](soft), floats[T](lse)
			kernel.Ranges(n, rowGrain, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					row := dx[i*vocab : (i+1)*vocab]
					if counts[i] == 0 {
						clear(row)
						continue
					}
					kernel.ExpShift(row, x[i*vocab:(i+1)*vocab], sharpness, lse[i])
					kernel.Axpy(-1, soft[i*vocab:(i+1)*vocab], row)
					kernel.Scale(dloss*T(weight*temperature)*counts[i], row)
				}
			})
			return nil
		}
		return G.Nodes{t.apply(share, dy), t.apply(back, in[1], in[3], dy), nil, nil}
	}
	return t.apply(o, task, logits, teacher, counts)
}
