package main

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/model/lama"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

// subject is what one arm computes at one size, ready to be timed.
type subject struct {
	run        func() error
	parameters int
	bytes      float64 // that one run must read at least; 0: not known
	flops      float64 // that one run must compute; 0: not known
}

// newSubject builds the network of a request.
func newSubject(r sweepRequest) (subject, error) {
	cfg := recipe.Default()
	if err := configs.Decode("run", []byte(r.Config), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		return subject{}, err
	}
	if r.Measure == "attention" {
		return newAttention(cfg.Model, r.Batch, r.Size)
	}
	if seesImages(cfg) {
		return newImages(cfg, r)
	}
	store := nn.NewStore(tensor.Float32)
	opts := model.Options{Seed: 1}
	if r.Measure == "step" {
		opts.Sink = nn.NewGradients(store)
	}
	length := r.Size
	if r.Measure == "decode" {
		length++ // and the new token
	}
	s, err := cfg.Model.NewSession(model.Dims{VocabSize: r.VocabSize, Context: length}, store, opts)
	if err != nil {
		return subject{}, err
	}
	out := subject{parameters: store.Parameters()}
	var p *model.Program
	switch r.Measure {
	case "decode":
		body, ok := cfg.Model.Of.(decoder.Config)
		if !ok {
			return subject{}, errors.New("decoding is measured of decoders")
		}
		out.bytes, out.flops = decodeWork(body, r.VocabSize, s.Store().Parameters(), r.Batch, length)
		if p, err = s.DecodeAfter(r.Batch, r.Size); err == nil {
			out.run = p.Run
		}
		return out, err
	case "forward":
		p, err = s.Program(model.Score, model.Shape{Rows: r.Batch, Length: length})
	case "step":
		p, err = s.Program(model.Train, model.Shape{Rows: r.Batch, Length: length})
	default:
		err = fmt.Errorf("unknown measure %q", r.Measure)
	}
	if err != nil {
		return out, err
	}
	tokens := make([]int, r.Batch*length)
	for i := range tokens {
		tokens[i] = i * 31 % r.VocabSize
	}
	p.Feed(map[string][]int{"tokens": tokens, "targets": tokens})
	out.run = p.Run
	return out, nil
}

// decodeWork is what a step of decoding must read and compute: each weight and each cached value once, of the token
// embedding only the tokens' rows unless it is the head too, and FLOPs as package cost counts them, with the head.
func decodeWork(body decoder.Config, vocab, weights, batch, length int) (bytes, flops float64) {
	if !body.Tied {
		weights += (batch - vocab) * body.DModel
	}
	w := body.Sizes(vocab).Work(length)
	bytes = 4*float64(weights) + float64(batch)*float64(length)*float64(body.AttentionCost(false).CacheBytesTotal)
	attention := float64(body.NLayer) * body.Attention.DecodeFLOPs(body.DModel, length) // of mla less than what the report counts
	return bytes, float64(batch) * (attention + w.LinearFLOPs + w.FFNFLOPs + 2*float64(vocab*body.DModel))
}

// machineSpeed measures what the roofline is made of: bytes and FLOPs a second with all threads.
func machineSpeed() (bandwidth, peak float64) {
	return kernel.MeasureBandwidth(), 1e9 * kernel.MeasurePeak() * float64(kernel.Threads())
}

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

// newAttention builds the attention of a network alone, with gradients: of a lama
// its pooling with the annotation, over states of the GRU's width, of an encoder
// one layer, whose mean over time is what the loss is of, of a favit that of the
// first block, whose mean over pixels is. The states are drawn, and a gradient
// reaches them too.
func newAttention(cfg recipe.Model, batch, length int) (subject, error) {
	store := nn.NewStore(tensor.Float32)
	tape := op.NewTape(tensor.Float32, true)
	b := nn.NewBuilder(tape, store, nn.Options{Seed: 1, Sink: nn.NewGradients(store)})
	ints := func(name string, value int) *G.Node {
		x := make([]int, batch)
		for i := range x {
			x[i] = value
		}
		return tape.Input(name, tensor.New(tensor.WithShape(batch), tensor.WithBacking(x)))
	}
	drawn := 0
	states := func(rows, width int) *G.Node {
		drawn = rows * width
		return op.Value(b.Weight("states", nn.Normal(1), rows, width).Use())
	}
	seq := nn.SeqInfo{Batch: batch, SeqLen: length, Lengths: ints("lengths", length)}
	var pooled *G.Node // [B, S]
	switch body := cfg.Of.(type) {
	case lama.Body:
		width := nn.GRUConfig{Hidden: body.Hidden, Bidirectional: true}.Width()
		pooled = body.Pooling.Of.New(b, width).Forward(states(batch*length, width), seq)
	case encoder.Config:
		init := nn.Normal(body.InitStd)
		layer := attention.New(b, attention.LayerConfig{Config: body.Attention, DModel: body.DModel, Init: init, OutInit: init})
		pooled = op.TimeMean(tape, layer.Forward(states(batch*length, body.DModel), seq, 0), seq.Lengths, batch, length)
	case favit.Body:
		dims := model.Dims{Classes: 1, ImageSize: length, Channels: imageChannels}
		if err := body.Check(dims); err != nil {
			return subject{}, err
		}
		forward, m, width := body.FirstAttention(b, dims, batch)
		pooled = op.MeanTokens(tape, forward(states(m.Rows(), width), m), batch)
	default:
		return subject{}, errors.New("the attention alone is measured of kinds lama, encoder and favit")
	}
	loss := op.CrossEntropy(tape, pooled, ints("targets", 0))
	if err := tape.Backward(loss); err != nil {
		return subject{}, err
	}
	plan, err := tape.Plan(false, loss)
	if err != nil {
		return subject{}, err
	}
	plan.Bind(&op.Arena{})
	vm := G.NewTapeMachine(tape.Graph)
	return subject{run: func() error { return tape.Run(vm) }, parameters: store.Parameters() - drawn}, nil
}
