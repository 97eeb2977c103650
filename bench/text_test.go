package main

import (
	"math"
	"os"
	"testing"

	"sparrow/attention"
	"sparrow/kernel"
	"sparrow/model/encoder"
	"sparrow/model/lama"
)

// Classifiers of a few thousand weights, and a recurrent layer whose loss has two rows.
var (
	tinyEncoder = config{Kind: "encoder", Classes: 3, Vocab: 16, DModel: 8, NLayer: 2, NHead: 2, NKVHead: 2, DFF: 12, SeqLen: 8, Batch: 4}
	tinyLAMA    = config{Kind: "lama", Classes: 3, Vocab: 16, DModel: 6, Hidden: 5, NHead: 3, NKVHead: 3, SeqLen: 8, Batch: 4}
	tinyGRU     = gruConfig{Batch: 5, SeqLen: 13, Input: 6, Hidden: 5}
)

// loadTexts makes the command that loads a classifier and its batch.
func loadTexts(t *testing.T, c config) request {
	t.Helper()
	path, done, err := writeWeights(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	inputs, labels := c.tokens()
	if len(inputs) != c.Batch*c.SeqLen || len(labels) != c.Batch {
		t.Fatalf("%d tokens and %d labels, want %d and %d", len(inputs), len(labels), c.Batch*c.SeqLen, c.Batch)
	}
	return request{"cmd": "load", "config": c, "threads": 1, "weights": path, "inputs": inputs, "targets": labels}
}

// loadGRU makes the command that loads the layer.
func loadGRU(t *testing.T, c gruConfig) request {
	t.Helper()
	l, err := newGRU(c)
	if err != nil {
		t.Fatal(err)
	}
	path, done, err := l.write()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return request{"cmd": "gru", "gru": c, "threads": 1, "weights": path}
}

// The worker trains classifiers of texts, which learn their batch by heart.
func TestTexts(t *testing.T) {
	for name, c := range map[string]config{"encoder": tinyEncoder, "lama": tinyLAMA} {
		all := answers(t, loadTexts(t, c), request{"cmd": "step", "steps": 1}, request{"cmd": "step", "steps": 400})
		for _, a := range all {
			if a.Error != "" {
				t.Fatalf("%s: %s", name, a.Error)
			}
		}
		if first, last := all[1].Loss, all[2].Loss; math.Abs(first-math.Log(3)) > 0.3 || last > first/2 || len(all[2].Seconds) != 400 {
			t.Errorf("%s: loss %g, after 400 steps more %g; want about log 3 and less than half of it", name, first, last)
		}
	}
}

func TestGRU(t *testing.T) {
	all := answers(t, loadGRU(t, tinyGRU), request{"cmd": "pass", "repeat": 3}, request{"cmd": "gru", "gru": gruConfig{Batch: 1, SeqLen: 1, Input: 1}})
	if a := all[1]; a.Error != "" || len(a.Seconds) != 3 || len(a.Norms) != len(gruParams) || !(a.Loss > 0) {
		t.Fatalf("%+v; want 3 times, %d gradients and a loss", a, len(gruParams))
	}
	for i, n := range all[1].Norms {
		if !(n > 0) {
			t.Errorf("the gradient of %s has a squared norm of %g", gruParams[i], n)
		}
	}
	if want := "gru: batch, seq_len, input, hidden = 1, 1, 1, 0; want 1 or more"; all[2].Error != want {
		t.Errorf("error %q, want %q", all[2].Error, want)
	}
}

// The networks that are measured have the sizes that their names promise.
func TestTextNetworks(t *testing.T) {
	m, dims := networks["step-encoder"].network()
	if encoder, ok := m.Of.(encoder.Config); !ok || encoder.Norm != "layer_norm" || encoder.MLP != "gelu" || encoder.Dropout != 0 || encoder.DFF != 4*encoder.DModel || dims.Classes != 2 {
		t.Errorf("step-encoder is %+v with %+v", encoder, dims)
	}
	m, dims = networks["step-lama"].network()
	if lama, ok := m.Of.(lama.Body); !ok || lama.EmbedDim != 100 || lama.Hidden != 50 || lama.Pooling.Of.(attention.LAMA).Heads != 10 || lama.Dropout != 0 || dims.Context != 200 {
		t.Errorf("step-lama is %+v with %+v", lama, dims)
	}
}

// The peer computes what we do, over several steps and in every gradient. It needs PyTorch.
func TestTextPeer(t *testing.T) {
	if os.Getenv("SPARROW_PYTHON") == "" {
		t.Skip("SPARROW_PYTHON is not set")
	}
	peer, err := startPeer(1)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.end()
	defer kernel.SetThreads(0)
	const tolerance = 2e-5 // of float32 sums
	near := func(x, y float64) bool { return math.Abs(x-y) <= tolerance*max(1, math.Abs(y)) }
	for name, lines := range map[string][]request{
		"encoder": {loadTexts(t, tinyEncoder), {"cmd": "step", "steps": 1}, {"cmd": "step", "steps": 20}},
		"lama":    {loadTexts(t, tinyLAMA), {"cmd": "step", "steps": 1}, {"cmd": "step", "steps": 20}},
		"gru":     {loadGRU(t, tinyGRU), {"cmd": "pass", "repeat": 1}},
	} {
		var all []any
		for _, l := range lines {
			all = append(all, l)
		}
		for i, ours := range answers(t, all...) {
			theirs, err := peer.ask(lines[i])
			if err != nil || ours.Error != "" {
				t.Fatalf("%s: %q, peer %v", name, ours.Error, err)
			}
			if !near(ours.Loss, theirs.Loss) || len(ours.Norms) != len(theirs.Norms) {
				t.Errorf("%s, answer %d: loss %.9g of %d gradients, peer %.9g of %d", name, i, ours.Loss, len(ours.Norms), theirs.Loss, len(theirs.Norms))
				continue
			}
			for j, n := range ours.Norms {
				if !near(n, theirs.Norms[j]) {
					t.Errorf("%s: the gradient of %s has a squared norm of %.9g, peer %.9g", name, gruParams[j], n, theirs.Norms[j])
				}
			}
		}
	}
}
