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

// stageNorms tells of a classifier of images how its stages fare, the first of which has the most pixels and the longest way
// from the loss: a stage whose gradients vanish or whose activations grow without bound spoils a run long before its loss
// shows where. Of each stage i, from 1, and of the classifier behind them:
//
//	stagei_weight_norm     of the weights, after the step
//	stagei_grad_norm       of their gradients, as grad_norm before clipping
//	stagei_activation_rms  root mean square of the last block's output, before its norm
//	head_weight_norm, head_grad_norm
//
// Squares of the gradients sum to that of grad_norm. last is the program of the step's last micro-batch, scale what the
// gradients are to be multiplied with. Other networks have none of these.
func (t *Trainer) stageNorms(last *model.Program, scale float64) []metrics.Value {
	staged, ok := t.cfg.Model.Body().(model.Staged)
	if !ok {
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
		x := last.Site(stage.Output).Float64s()
		values = append(values, metrics.Value{Name: part + "_activation_rms", X: math.Sqrt(kernel.SumSquares(x) / float64(len(x)))})
	}
	norms("head", "head.")
	return values
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
