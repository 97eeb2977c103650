package main

import (
	"fmt"

	"sparrow/nn"
	"sparrow/op"
)

// gruConfig is a bidirectional recurrent layer and its batch of full sequences.
type gruConfig struct {
	Batch  int `json:"batch"`
	SeqLen int `json:"seq_len"`
	Input  int `json:"input"`
	Hidden int `json:"hidden"` // of each direction
}

func (c gruConfig) String() string {
	return fmt.Sprintf("%dx%dx%d/h%d", c.Batch, c.SeqLen, c.Input, c.Hidden)
}

// grus are the layer of configs/imdb-lama.toml and two wider ones.
var grus = []gruConfig{{32, 200, 100, 50}, {32, 200, 128, 128}, {32, 200, 256, 256}}

// gruParams are those of a bidirectional layer, after its input in PyTorch's order.
var gruParams = []string{"x",
	"gru.forward.ih.weight", "gru.forward.hh.weight", "gru.forward.ih.bias", "gru.forward.hh.bias",
	"gru.reverse.ih.weight", "gru.reverse.hh.weight", "gru.reverse.ih.bias", "gru.reverse.hh.bias"}

// newGRU builds the layer with a loss from seed 1.
func newGRU(c gruConfig) (*layer, error) {
	if c.Batch < 1 || c.SeqLen < 1 || c.Input < 1 || c.Hidden < 1 {
		return nil, fmt.Errorf("gru: batch, seq_len, input, hidden = %d, %d, %d, %d; want 1 or more", c.Batch, c.SeqLen, c.Input, c.Hidden)
	}
	l := startLayer(gruParams)
	b := nn.NewBuilder(l.tape, l.store, nn.Options{Seed: 1, Sink: l.grads})
	x := op.Value(b.Weight("x", nn.Normal(1), c.Batch*c.SeqLen, c.Input).Use())
	gru := nn.NewGRU(b.Sub("gru"), nn.GRUConfig{Input: c.Input, Hidden: c.Hidden, Bidirectional: true})
	return l, l.finish(gru.Forward(x, nn.SeqInfo{Batch: c.Batch, SeqLen: c.SeqLen})) // of [B*T, 2H]
}

// gru measures forward and backward passes of bidirectional recurrent layers.
func (b *bench) gru(name string) error {
	var ratios []float64
	for _, c := range grus {
		l, err := newGRU(c)
		if err != nil {
			return err
		}
		path, done, err := l.write()
		if err != nil {
			return err
		}
		ratio, err := b.pass(name+"/"+c.String(), request{"cmd": "gru", "gru": c, "threads": b.threads, "weights": path})
		done()
		if err != nil {
			return err
		}
		ratios = append(ratios, ratio)
	}
	b.emitMean(name, ratios, "layers")
	return nil
}
