package train

import (
	"math"

	"sparrow/metrics"
	"sparrow/train/optim"
)

// factorNorms tells of a model with factored layers whether their parts train: a network whose factors hardly move still
// learns with its embeddings and sparse values, and its loss alone does not show why it is a poor one. Each value is the
// root of the sum of squares over all such layers:
//
//	low_rank_norm        of the products scale B A, after the step
//	sparse_norm          of the sparse parts S, after the step
//	low_rank_grad_norm   of the gradients of the factors B and A, as grad_norm before clipping
//	sparse_grad_norm     of the gradients of the values of S
//
// scale is what the gradients are to be multiplied with.
func (t *Trainer) factorNorms(scale float64) []metrics.Value {
	var product, sparse, productGrad, sparseGrad float64
	factored, hasSparse := false, false
	for _, name := range t.store.Layers() {
		l := t.store.Layer(name)
		if _, ok := l.Factored(); !ok {
			continue
		}
		factored = true
		product += square(t.store.ProductNorm(name))
		productGrad += t.gradSquares(name+".down.weight") + t.gradSquares(name+".up.weight")
		if l.Nonzeros() > 0 {
			hasSparse = true
			sparse += square(t.store.SparseNorm(name))
			sparseGrad += t.gradSquares(name + ".sparse.values")
		}
	}
	var values []metrics.Value
	if factored {
		values = append(values, metrics.Value{Name: "low_rank_norm", X: math.Sqrt(product)}, metrics.Value{Name: "low_rank_grad_norm", X: math.Sqrt(productGrad) * scale})
	}
	if hasSparse {
		values = append(values, metrics.Value{Name: "sparse_norm", X: math.Sqrt(sparse)}, metrics.Value{Name: "sparse_grad_norm", X: math.Sqrt(sparseGrad) * scale})
	}
	return values
}

func square(x float64) float64 { return x * x }

// gradSquares is the sum of the squares of a parameter's gradient in the last step, 0 if it is frozen.
func (t *Trainer) gradSquares(name string) float64 {
	if t.layers != nil {
		return t.layers.squares[name]
	}
	if g := t.grads.Get(name); g != nil {
		return optim.Squares(g)
	}
	return 0
}
