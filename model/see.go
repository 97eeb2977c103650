package model

import (
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B images, H by W pixels, C channels.

// Images is what a program of an image classifier takes.
type Images struct {
	Pixels  []float32 // [B*H*W, C], normalised
	Targets []float32 // [B, classes], of training: distributions; a row of zeros does not count
	Labels  []int     // [B], of scoring: classes; op.Ignored: no target
}

// FeedImages sets the images and targets of the next run of an image classifier.
func (p *Program) FeedImages(x Images) {
	setFloats(p.pixels, x.Pixels)
	if p.soft != nil {
		setFloats(p.soft, x.Targets)
	}
	copy(p.targets, x.Labels)
}

// setFloats copies values into a tensor.
func setFloats(dst *tensor.Dense, x []float32) {
	if dst.Dtype() == tensor.Float32 {
		copy(dst.Float32s(), x)
		return
	}
	for i, v := range x {
		dst.Float64s()[i] = float64(v)
	}
}

// newFaViT is the network of an image classifier.
func (s *Session) newFaViT(b *nn.Builder) *FaViT {
	v := NewFaViT(b, *s.cfg.FaViT, s.dims.favit())
	v.CheckpointActivations = s.cfg.CheckpointActivations
	return v
}

// see extends a program by an image classifier's inputs, scores and loss.
func (s *Session) see(p *Program, b *nn.Builder, m mode) {
	t := p.tape
	p.pixels = tensor.New(tensor.Of(t.Dtype), tensor.WithShape(p.Batch*p.SeqLen, s.dims.Channels))
	p.logits = s.newFaViT(b).Forward(t.Input("pixels", p.pixels), p.Batch)
	b.Tap("logits", p.logits)
	if m == training {
		p.soft = tensor.New(tensor.Of(t.Dtype), tensor.WithShape(p.Batch, s.dims.Classes))
		p.loss = op.SoftCrossEntropy(t, p.logits, t.Input("targets", p.soft))
		return
	}
	targets, values := intInput(t, "targets", p.Batch)
	p.targets = values
	p.loss = op.CrossEntropy(t, p.logits, targets)
}
