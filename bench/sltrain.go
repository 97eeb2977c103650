package main

import (
	"fmt"
	"math"

	"sparrow/internal/measure"
)

// sltrainStep measures a training step of the network with SLTrain layers against
// the same with dense ones, both ours: what the parameters that are saved cost in
// time.
func (b *bench) sltrainStep(name string) error {
	dense, err := b.dense()
	if err != nil {
		return err
	}
	defer dense.end()
	m := *b
	m.peer = dense
	sparse := networks[name]
	plain := sparse
	plain.SLTrain = nil
	inputs, targets := sparse.tokens()
	for s, c := range map[*side]config{m.ours: sparse, m.peer: plain} {
		if _, err := s.ask(request{"cmd": "load", "config": c, "threads": b.threads, "inputs": inputs, "targets": targets}); err != nil {
			return err
		}
		if _, err := s.ask(request{"cmd": "step", "steps": 1}); err != nil { // warms up
			return err
		}
	}
	ours, peer, err := m.alternate(b.rounds, request{"cmd": "step", "steps": 1})
	if err != nil {
		return err
	}
	out := m.result(name, "s", measure.Median(ours), measure.Median(peer))
	if err := m.memory(&out); err != nil {
		return err
	}
	out.Note = fmt.Sprintf("against dense layers at %d tokens", len(inputs))
	b.emit(out)
	return nil
}

// sltrainLayer measures forward and backward passes of single SLTrain layers; the
// peer forms W as a dense product and adds the values with index_add.
func (b *bench) sltrainLayer(name string) error {
	var ratios []float64
	for _, c := range layers {
		ratio, err := b.layer(name, c)
		if err != nil {
			return err
		}
		ratios = append(ratios, ratio)
	}
	b.emitMean(name, ratios, "layers")
	return nil
}

// normTolerance is how far the squared gradients of two sides may be apart, relatively: float32 sums of thousands of terms.
const normTolerance = 1e-3

// layer measures one layer and returns the ratio of the times, NaN without a peer.
func (b *bench) layer(name string, c layerConfig) (float64, error) {
	l, err := newLayer(c)
	if err != nil {
		return 0, err
	}
	path, done, err := l.write(l.places())
	if err != nil {
		return 0, err
	}
	defer done()
	return b.pass(name+"/"+c.String(), request{"cmd": "layer", "layer": c, "threads": b.threads, "weights": path})
}

// pass measures forward and backward passes of the layer that a command makes, and
// returns the ratio of the times, NaN without a peer.
func (b *bench) pass(name string, load request) (float64, error) {
	answers := map[*side]reply{}
	for _, s := range b.sides() {
		_, err := s.ask(load)
		if err != nil {
			return 0, err
		}
		if answers[s], err = s.ask(request{"cmd": "pass", "repeat": 2}); err != nil { // warms up
			return 0, err
		}
	}
	if b.peer != nil {
		ours, peer := answers[b.ours], answers[b.peer]
		if len(peer.Norms) != len(ours.Norms) {
			return 0, fmt.Errorf("bench: %s: the peer has %d gradients, want %d", name, len(peer.Norms), len(ours.Norms))
		}
		for i, n := range append(ours.Norms, ours.Loss) {
			if p := append(peer.Norms, peer.Loss)[i]; !(math.Abs(n-p) <= normTolerance*math.Abs(p)) {
				return 0, fmt.Errorf("bench: %s: the sides do not compute the same: %v and %v", name, ours, peer)
			}
		}
	}
	ours, peer, err := b.alternate(b.rounds, request{"cmd": "pass", "repeat": 2})
	if err != nil {
		return 0, err
	}
	out := b.result(name, "s", measure.Median(ours), measure.Median(peer))
	b.emit(out)
	return measure.Median(ours) / measure.Median(peer), nil
}
