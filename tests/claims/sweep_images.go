package main

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/train"
)

// imageChannels is those of the images that networks are measured on: colours.
const imageChannels = 3

// newImages builds a classifier of images of a request, over drawn pixels.
func newImages(cfg train.Config, r sweepRequest) (subject, error) {
	store := nn.NewStore(tensor.Float32)
	opts := model.Options{Seed: 1}
	if r.Measure == "step" {
		opts.Sink = nn.NewGradients(store)
	}
	dims := model.ImageDims(r.VocabSize, r.Size, imageChannels)
	s, err := model.NewSession(cfg.Model, dims, store, opts)
	if err != nil {
		return subject{}, err
	}
	var p *model.Program
	switch r.Measure {
	case "forward":
		p, err = s.Score(r.Batch, dims.Context)
	case "step":
		p, err = s.Train(r.Batch, dims.Context)
	default:
		err = fmt.Errorf("unknown measure %q of images", r.Measure)
	}
	if err != nil {
		return subject{}, err
	}
	x := model.Images{
		Pixels:  make([]float32, r.Batch*r.Size*r.Size*imageChannels),
		Targets: make([]float32, r.Batch*r.VocabSize), Labels: make([]int, r.Batch),
	}
	rng.FillNormal(rng.New(1, "claims/pixels", 0), x.Pixels, 0, 1)
	for i := range x.Labels {
		x.Labels[i] = i % r.VocabSize
		x.Targets[i*r.VocabSize+x.Labels[i]] = 1
	}
	p.FeedImages(x)
	return subject{run: p.Run, parameters: store.Parameters()}, nil
}
