package op

import (
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// DistillVectors is a task's loss blended with the distance to a teacher's vectors of the same rows, half the squared distance
// of the vectors of length 1 (Reimers and Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual using Knowledge
// Distillation", section 2, there of vectors as they are):
//
//	loss = (1-w) task + w sum over n of counts[n] (1 - cos(vectors[n], teacher[n])).
//
// task [1], vectors [N, D], teacher [N, D], counts [N] -> loss [1]. Teacher and counts get no gradient. A vector without a
// direction has the cosine 0 and gets no gradient.
// Backward: dtask = (1-w) dloss, dx = dloss w counts[n] (cos x / |x|² - z / (|x| |z|)) of x = vectors[n], z = teacher[n].
func DistillVectors(t *Tape, task, vectors, teacher, counts *G.Node, weight float64) *G.Node {
	if t.Dtype == tensor.Float32 {
		return distillVectors[float32](t, task, vectors, teacher, counts, weight)
	}
	return distillVectors[float64](t, task, vectors, teacher, counts, weight)
}

func distillVectors[T kernel.Float](t *Tape, task, vectors, teacher, counts *G.Node, weight float64) *G.Node {
	const name = "distill_vectors"
	n, d := matrix(name, "vectors", vectors)
	wantShape(name, "task", task, 1)
	wantShape(name, "teacher", teacher, n, d)
	wantShape(name, "counts", counts, n)
	o := t.operator(name, tensor.Shape{1})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, z, counts := data[T](in[1]), data[T](in[2]), data[T](in[3])
		var distance float64
		for i := range n {
			xz, xx, zz := products(x[i*d:(i+1)*d], z[i*d:(i+1)*d])
			cosine := 0.0
			if xx > 0 && zz > 0 {
				cosine = xz / math.Sqrt(xx) / math.Sqrt(zz)
			}
			distance += float64(counts[i]) * (1 - cosine)
		}
		data[T](out)[0] = T((1-weight)*float64(data[T](in[0])[0]) + weight*distance)
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		share := taskShare[T](t, name, weight)
		back := t.operator(name+".grad", tensor.Shape{n, d})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			x, z, counts := data[T](in[0]), data[T](in[1]), data[T](in[2])
			dloss, dx := float64(data[T](in[3])[0]), data[T](out)
			for i := range n {
				x, z, row := x[i*d:(i+1)*d], z[i*d:(i+1)*d], dx[i*d:(i+1)*d]
				xz, xx, zz := products(x, z)
				if !(xx > 0 && zz > 0) {
					clear(row)
					continue
				}
				over := dloss * weight * float64(counts[i]) / math.Sqrt(xx) / math.Sqrt(zz)
				for j := range row {
					row[j] = T(over * (xz/xx*float64(x[j]) - float64(z[j])))
				}
			}
			return nil
		}
		return G.Nodes{t.apply(share, dy), t.apply(back, in[1], in[2], in[3], dy), nil, nil}
	}
	return t.apply(o, task, vectors, teacher, counts)
}

// taskShare is what a blended loss hands down to the task's: (1-w) dloss.
func taskShare[T kernel.Float](t *Tape, name string, weight float64) *operator {
	share := t.operator(name+".task", tensor.Shape{1})
	share.run = func(in []G.Value, out *tensor.Dense) error {
		data[T](out)[0] = T(1-weight) * data[T](in[0])[0]
		return nil
	}
	return share
}
