package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sbinet/npyio/npz"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/checkpoints"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/favit"
	"sparrow/nn"
	"sparrow/recipe"
)

// imagesConfig is an image classifier of the benchmark and its batch, in the
// peer's words.
type imagesConfig struct {
	Variant string `json:"variant"`
	Size    int    `json:"size"` // of images, pixels
	Batch   int    `json:"batch"`
	Classes int    `json:"classes"`

	// The variant's sizes, for the peer.
	Channels   int    `json:"channels"`
	Widths     []int  `json:"widths"`
	Depths     []int  `json:"depths"`
	Heads      []int  `json:"heads"`
	MLPRatios  []int  `json:"mlp_ratios"`
	Reductions []int  `json:"reductions"`
	StemKernel int    `json:"stem_kernel"`
	StemStride int    `json:"stem_stride"`
	Window     int    `json:"window"`
	Fusion     string `json:"fusion"`
	Pad        string `json:"pad"`
}

// favitB0 is the smallest published network at the published size of images.
var favitB0 = imagesConfig{Variant: "b0", Size: 224, Batch: 8, Classes: 1000}

// network is the session's config of the network.
func (c imagesConfig) network() (recipe.Model, model.Dims) {
	body := favit.DefaultBody()
	body.Variant = c.Variant
	return recipe.ModelOf(body), model.ImageDims(c.Classes, c.Size, 3)
}

// spelled is c with the variant's numbers.
func (c imagesConfig) spelled() imagesConfig {
	m, dims := c.network()
	cfg := m.Of.(favit.Body).Resolved()
	c.Channels, c.Widths, c.Depths, c.Heads = dims.Channels, cfg.Widths, cfg.Depths, cfg.Heads
	c.MLPRatios, c.Reductions, c.StemKernel, c.StemStride = cfg.MLPRatios, cfg.Reductions, cfg.StemKernel, cfg.StemStride
	fasa := attention.DefaultFaSA() // the variants'
	c.Window, c.Fusion, c.Pad = cfg.Window, fasa.Fusion, fasa.Pad
	return c
}

// favit measures training steps of FaViT-B0 (forward, backward, clipping, AdamW)
// and its inference.
func (b *bench) favit(name string) error {
	c := favitB0.spelled()
	path, done, err := c.write()
	if err != nil {
		return err
	}
	defer done()
	losses := map[*side]float64{}
	for _, s := range b.sides() {
		if _, err := s.ask(b.training(s, request{"cmd": "images", "images": c, "threads": b.threads, "weights": path})); err != nil {
			return err
		}
		a, err := s.ask(request{"cmd": "images-step", "steps": 2}) // warms up
		if err != nil {
			return err
		}
		losses[s] = a.Loss
	}
	if err := b.sameLoss(name, losses); err != nil {
		return err
	}
	if b.profile {
		return b.profiled(name, "images-step")
	}
	ours, peer, err := b.alternate(b.rounds, request{"cmd": "images-step", "steps": 1})
	if err != nil {
		return err
	}
	out := b.result(name, "s", measure.Median(ours), measure.Median(peer))
	if err := b.memory(&out); err != nil {
		return err
	}
	out.Note = strings.TrimPrefix(b.contest, "; ")
	b.emit(out)
	if b.precision != "" {
		return nil // it is of training
	}
	for _, s := range b.sides() {
		if _, err := s.ask(request{"cmd": "images-infer", "steps": 2}); err != nil { // warms up
			return err
		}
	}
	if ours, peer, err = b.alternate(b.rounds, request{"cmd": "images-infer", "steps": 2}); err != nil {
		return err
	}
	out = b.result(name+"/inference", "s", measure.Median(ours), measure.Median(peer))
	out.Note = fmt.Sprintf("%.1f images/s", float64(c.Batch)/out.Ours)
	b.emit(out)
	return nil
}

// write makes the weights and the batch that both sides load.
func (c imagesConfig) write() (path string, done func(), err error) {
	cfg, dims := c.network()
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.NewSession(dims, store, model.Options{Seed: 1}); err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", nil, err
	}
	var arrays []checkpoints.Array
	for _, name := range store.Names() {
		d := store.Get(name)
		arrays = append(arrays, checkpoints.Array{Name: name, Shape: d.Shape(), Data: d.Float32s()})
	}
	r := rng.New(1, "bench", 0)
	pixels, labels := make([]float32, c.Batch*c.Size*c.Size*3), make([]int32, c.Batch)
	rng.FillNormal(r, pixels, 0, 1)
	for i := range labels {
		labels[i] = int32(r.Intn(c.Classes))
	}
	arrays = append(arrays, checkpoints.Array{Name: "pixels", Shape: []int{len(pixels) / 3, 3}, Data: pixels},
		checkpoints.Array{Name: "labels", Shape: []int{c.Batch}, Data: labels})
	folder := dir + "/weights"
	err = checkpoints.Write(folder, checkpoints.Contents{Kind: "favit", Arrays: map[string][]checkpoints.Array{"model.npz": arrays}})
	return folder + "/model.npz", func() { os.RemoveAll(dir) }, err
}

// loadImages makes the network and the batch of a file that imagesConfig.write has written.
func (w *worker) loadImages(c imagesConfig, path, precision string) error {
	cfg, dims := c.network()
	if err := w.open(cfg, dims, path, precision); err != nil {
		return err
	}
	f, err := npz.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var pixels []float32
	var labels []int32
	if err := errors.Join(f.Read("pixels.npy", &pixels), f.Read("labels.npy", &labels)); err != nil {
		return err
	}
	if w.program, err = w.session.Program(model.Train, dims.Shape(c.Batch, 0)); err != nil {
		return err
	}
	if w.scoring, err = w.session.Program(model.Score, dims.Shape(c.Batch, 0)); err != nil {
		return err
	}
	for i, l := range labels {
		w.program.Floats("distribution").Put(i, int(l), 1)
		w.scoring.Ints("targets")[i] = int(l)
	}
	w.program.Floats("pixels").Set(pixels)
	w.scoring.Floats("pixels").Set(pixels)
	w.targets = c.Batch
	return nil
}

// infer computes the batch's scores.
func (w *worker) infer(repeat int) (reply, error) {
	var r reply
	for range repeat {
		began := time.Now()
		if err := w.scoring.Run(); err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, time.Since(began).Seconds())
	}
	return r, nil
}
