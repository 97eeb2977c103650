package main

import (
	"fmt"
	"time"

	"github.com/sbinet/npyio/npz"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/train"
)

// classifier is our side of the image benchmarks: a network, one batch, and the
// graphs for training and inference.
type classifier struct {
	store     *nn.Store
	grads     *nn.Gradients
	optimizer *train.AdamW
	pixels    *tensor.Dense
	labels    []int
	arena     op.Arena
	steps     int

	training, inference graph
}

// graph is a planned graph with its machine.
type graph struct {
	tape *op.Tape
	plan *op.Plan
	vm   G.VM
	out  *G.Node // loss or scores
}

func (g *graph) run(a *op.Arena) error {
	g.plan.Bind(a)
	return g.tape.Run(g.vm)
}

// newClassifier makes a network with initial weights; with graphs, one that runs.
func newClassifier(c imagesConfig, graphs bool) (*classifier, error) {
	cfg, dims := c.network()
	if err := cfg.Check(dims); err != nil {
		return nil, err
	}
	n := &classifier{store: nn.NewStore(tensor.Float32), labels: make([]int, c.Batch)}
	n.grads = nn.NewGradients(n.store)
	n.pixels = tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(c.Batch*c.Size*c.Size, dims.Channels))
	for _, g := range []*graph{&n.training, &n.inference} {
		trains := g == &n.training
		g.tape = op.NewTape(tensor.Float32, trains)
		b := nn.NewBuilder(g.tape, n.store, nn.Options{Seed: 1, Sink: n.grads})
		network := model.NewFaViT(b, cfg, dims)
		if !graphs {
			return n, nil
		}
		g.out = network.Forward(g.tape.Input("pixels", n.pixels), c.Batch)
		if trains {
			labels := g.tape.Input("labels", tensor.New(tensor.WithBacking(n.labels), tensor.WithShape(c.Batch)))
			g.out = op.CrossEntropy(g.tape, g.out, labels)
			if err := g.tape.Backward(g.out); err != nil {
				return nil, err
			}
		}
		var err error
		if g.plan, err = g.tape.Plan(false, g.out); err != nil {
			return nil, err
		}
		g.vm = G.NewTapeMachine(g.tape.Graph)
	}
	n.optimizer = train.NewAdamW(train.LoopConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}, n.store)
	return n, nil
}

// loadClassifier makes the network of a file that imagesConfig.write has written.
func loadClassifier(c imagesConfig, path string) (*classifier, error) {
	n, err := newClassifier(c, true)
	if err != nil {
		return nil, err
	}
	f, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, name := range append([]string{"pixels"}, n.store.Names()...) {
		dst := n.pixels
		if name != "pixels" {
			dst = n.store.Get(name)
		}
		var values []float32
		if err := f.Read(name+".npy", &values); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		copy(dst.Float32s(), values)
	}
	var labels []int32
	if err := f.Read("labels.npy", &labels); err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	for i, l := range labels {
		n.labels[i] = int(l)
	}
	return n, nil
}

// step trains as the trainer does: gradients, clipping by the global norm, AdamW.
func (n *classifier) step(steps int) (reply, error) {
	var r reply
	for range steps {
		began := time.Now()
		if err := n.training.run(&n.arena); err != nil {
			return r, err
		}
		scale := 1 / float64(len(n.labels))
		r.Loss = float64(n.training.out.Value().(*tensor.Dense).Float32s()[0]) * scale
		norm := train.GradNorm(n.grads) * scale
		n.steps++
		train.UpdateAll(n.optimizer, n.grads, n.steps, 1e-3, scale*min(1, 1/(norm+1e-6)))
		r.Seconds = append(r.Seconds, time.Since(began).Seconds())
	}
	return r, nil
}

// infer computes the batch's scores.
func (n *classifier) infer(repeat int) (reply, error) {
	var r reply
	for range repeat {
		began := time.Now()
		if err := n.inference.run(&n.arena); err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, time.Since(began).Seconds())
	}
	return r, nil
}
