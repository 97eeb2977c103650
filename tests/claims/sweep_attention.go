package main

import (
	"errors"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/model/favit"
	"sparrow/model/lama"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

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
