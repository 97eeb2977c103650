package main

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
)

// imageChannels is those of the images that networks are measured on: colours.
const imageChannels = 3

// newImages builds a classifier of images of a request, over drawn pixels.
func newImages(cfg recipe.Config, r sweepRequest) (subject, error) {
	store := nn.NewStore(tensor.Float32)
	opts := model.Options{Seed: 1}
	if r.Measure == "step" {
		opts.Sink = nn.NewGradients(store)
	}
	dims := model.ImageDims(r.VocabSize, r.Size, imageChannels)
	s, err := cfg.Model.NewSession(dims, store, opts)
	if err != nil {
		return subject{}, err
	}
	var p *model.Program
	switch r.Measure {
	case "forward":
		p, err = s.Program(model.Score, dims.Shape(r.Batch, 0))
	case "step":
		p, err = s.Program(model.Train, dims.Shape(r.Batch, 0))
	default:
		err = fmt.Errorf("unknown measure %q of images", r.Measure)
	}
	if err != nil {
		return subject{}, err
	}
	pixels, labels := make([]float32, r.Batch*r.Size*r.Size*imageChannels), make([]int, r.Batch)
	rng.FillNormal(rng.New(1, "claims/pixels", 0), pixels, 0, 1)
	for i := range labels {
		labels[i] = i % r.VocabSize
		if p.Has("distribution") {
			p.Floats("distribution").Put(i, labels[i], 1)
		}
	}
	p.Floats("pixels").Set(pixels)
	p.Feed(map[string][]int{"targets": labels})
	return subject{run: p.Run, parameters: store.Parameters()}, nil
}
