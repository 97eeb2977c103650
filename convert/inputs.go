package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

const (
	// calibrationTokens is how much of the training text tells what attention reads: enough for a matrix of moments, of
	// whose D (D + 1) / 2 numbers the largest directions matter.
	calibrationTokens = 16384
	// shrinkage is the share of the moments that is spread evenly over all directions, so that one which the text does
	// not use is not lost.
	shrinkage = 0.01
)

// inputRoots returns for each layer F [D, D] with F Fᵀ the second moments of what its attention reads, measured on a
// part of the text.
func inputRoots(ctx context.Context, network recipe.Model, dims model.Dims, store *nn.Store, goal task.Task) ([]*factor.Matrix, error) {
	body := network.Of.(decoder.Config)
	sites := map[string]int{}
	for i := range body.NLayer {
		sites[fmt.Sprintf("model.layers.%d.input_layernorm", i)] = i
	}
	session, err := network.NewSession(dims, store, model.Options{Sites: slices.Sorted(maps.Keys(sites))})
	if err != nil {
		return nil, err
	}
	batches, err := task.Batches(ctx, goal, session, task.Feed{Mode: model.Score, Split: task.Training, Limit: calibrationTokens})
	if err != nil {
		return nil, err
	}
	moments := zeros(body.NLayer, body.DModel)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		program, _, err := batches.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = program.Run()
		}
		if err != nil {
			return nil, err
		}
		for name, layer := range sites {
			site := program.Site(name)
			x, d := site.Float64s(), site.Width
			kernel.Gemm(true, false, d, d, site.Count, 1, x, d, x, d, 1, moments[layer].Data, d)
		}
	}
	for layer, m := range moments {
		spread(m)
		root, err := powers(ctx, m, 0.5)
		if err != nil {
			return nil, fmt.Errorf("convert: inputs of layer %d: %w", layer, err)
		}
		moments[layer] = root[0]
	}
	return moments, nil
}

// spread scales m to a mean of 1 on its diagonal and shrinks it towards the identity.
func spread(m *factor.Matrix) {
	trace := 0.0
	for i := range m.Rows {
		trace += m.Row(i)[i]
	}
	if trace > 0 {
		kernel.Scale((1-shrinkage)*float64(m.Rows)/trace, m.Data)
	}
	for i := range m.Rows {
		m.Row(i)[i] += shrinkage
	}
}
