package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/model"
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

// stageNorms tells of a classifier of images how its stages fare, the first of which has the most pixels and the longest way
// from the loss: a stage whose gradients vanish or whose activations grow without bound spoils a run long before its loss
// shows where. Of each stage i, from 1, and of the classifier behind them:
//
//	stagei_weight_norm     of the weights, after the step
//	stagei_grad_norm       of their gradients, as grad_norm before clipping
//	stagei_activation_rms  root mean square of the last block's output, before its norm
//	head_weight_norm, head_grad_norm
//
// Squares of the gradients sum to that of grad_norm. activations are those of one micro-batch, scale is what the
// gradients are to be multiplied with. Other networks have none of these, and processes that computed another micro-batch do not
// tell.
func (t *Trainer) stageNorms(activations []float64, scale float64) []metrics.Value {
	staged, ok := t.cfg.Model.Body().(model.Staged)
	if !ok || activations == nil {
		return nil
	}
	var values []metrics.Value
	norms := func(part string, prefixes ...string) {
		var weights, grads float64
		for _, name := range t.store.Names() {
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
				weights += optim.Squares(t.store.Get(name))
				grads += t.gradSquares(name)
			}
		}
		values = append(values, metrics.Value{Name: part + "_weight_norm", X: math.Sqrt(weights)}, metrics.Value{Name: part + "_grad_norm", X: math.Sqrt(grads) * scale})
	}
	for i, stage := range staged.Stages() {
		part := fmt.Sprintf("stage%d", i+1)
		norms(part, stage.Parameters...)
		values = append(values, metrics.Value{Name: part + "_activation_rms", X: activations[i]})
	}
	norms("head", "head.")
	return values
}

// activations are the root mean squares of the stages' outputs after a micro-batch, where they are to be told of.
func (t *Trainer) activations(p *model.Program) (rms []float64) {
	staged, ok := t.cfg.Model.Body().(model.Staged)
	if next := t.state.Step + 1; !ok || next > 1 && next != t.last && (t.cfg.Eval.Every == 0 || next%t.cfg.Eval.Every != 0) {
		return nil
	}
	for _, stage := range staged.Stages() {
		x := p.Site(stage.Output).Float64s()
		rms = append(rms, math.Sqrt(kernel.SumSquares(x)/float64(len(x))))
	}
	return rms
}

// stageOutputs are the sites that stageNorms looks at.
func stageOutputs(body model.Body) (sites []string) {
	staged, ok := body.(model.Staged)
	if !ok {
		return nil
	}
	for _, stage := range staged.Stages() {
		sites = append(sites, stage.Output)
	}
	return sites
}
