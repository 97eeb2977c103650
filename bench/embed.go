package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sparrow/interchange"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/task/sentence"
)

// miniLM has the sizes of all-MiniLM-L6-v2. Its weights are drawn, since they decide nothing about speed.
var miniLM = config{Kind: "encoder", Vocab: 30522, DModel: 384, NLayer: 6, NHead: 12, NKVHead: 12, DFF: 1536, SeqLen: 256, Batch: 32}

// stsLengths is how many of the 2,758 sentences of STS-B's test pairs have so many tokens of MiniLM's, [CLS] and [SEP] included.
var stsLengths = []int{5: 2, 12, 107, 225, 387, 329, 273, 249, 184, 141, 109, 78, 59, 60, 50, 53, 55, 54, 37, 22, 21, 22, 27, 17, 20, 24, 15, 20,
	20, 11, 19, 11, 11, 11, 5, 5, 5, 5, 2, 46: 1}

// tokensPerWord are those of MiniLM in STS-B's sentences.
const tokensPerWord = 1.44

// embedded are texts by kind: as long as STS-B's sentences, and paragraphs of 4 to 120 words.
var embedded = []struct {
	name    string
	lengths func() []int
}{
	{"sentences", func() (lengths []int) { // every fourth, of all lengths alike
		at := 0
		for n, count := range stsLengths {
			for range count {
				if at++; at%4 == 0 {
					lengths = append(lengths, n)
				}
			}
		}
		return lengths
	}},
	{"paragraphs", func() (lengths []int) {
		for i := range 192 {
			lengths = append(lengths, 2+int(math.Round(tokensPerWord*(4+float64(i)*116/191))))
		}
		return lengths
	}},
}

// textsOf draws texts of those lengths, the longest first: that is how both sides batch them.
func (c config) textsOf(lengths []int) (texts [][]int) {
	r := rng.New(1, "bench/texts", 0)
	slices.SortFunc(lengths, func(a, b int) int { return b - a })
	for _, n := range lengths {
		text := make([]int, n)
		for i := range text {
			text[i] = 1 + r.Intn(c.Vocab-1) // 0 pads
		}
		texts = append(texts, text)
	}
	return texts
}

// vectorTolerance is how far the numbers of two sides' vectors, of length 1, may be apart, and integerTolerance that where each side
// rounds to 8 bits in its own way.
const vectorTolerance, integerTolerance = 1e-5, 0.1

// embed measures vectors of texts in batches of 32, tokenization left out, against PyTorch (the BERT of transformers) or
// onnxruntime (the faster of its plain and its optimised export), the latter also with products of integers on both sides.
func (b *bench) embed(name string) error {
	engine := map[string]string{"embed-torch": "torch", "embed-onnx": "onnx", "embed-onnx-int8": "onnx-int8"}[name]
	for _, kind := range embedded {
		if err := b.embedKind(name, engine, kind.name, miniLM, kind.lengths()); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) embedKind(name, engine, kind string, c config, lengths []int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	load := request{"cmd": "sentences", "config": c, "threads": b.threads, "token_ids": c.textsOf(lengths), "dir": filepath.Join(dir, "model"), "engine": engine}
	answers := map[*side]reply{}
	for _, s := range b.sides() {
		if _, err := s.ask(load); err != nil {
			return err
		}
		if answers[s], err = s.ask(request{"cmd": "embed", "repeat": 1}); err != nil { // warms up
			return err
		}
	}
	if b.peer != nil {
		tolerance := vectorTolerance
		if engine == "onnx-int8" {
			tolerance = integerTolerance
		}
		if err := sameVectors(answers[b.ours].Values, answers[b.peer].Values, tolerance); err != nil {
			return fmt.Errorf("bench: %s: %w", name, err)
		}
	}
	ours, peer, err := b.alternate(b.rounds, request{"cmd": "embed", "repeat": 1})
	if err != nil {
		return err
	}
	out := b.result(name+"/"+kind, "s", measure.Median(ours), measure.Median(peer))
	if err := b.memory(&out); err != nil {
		return err
	}
	out.Note = fmt.Sprintf("%d texts, %.0f a second", len(lengths), float64(len(lengths))/out.Ours)
	if b.peer != nil {
		a := answers[b.peer]
		out.PeerName, out.PeerVersion = &a.PeerName, &a.PeerVersion
		out.Note += "; " + a.PeerName + " " + a.PeerVersion
	}
	b.emit(out)
	return nil
}

// sameVectors compares the vectors of the first and the last text.
func sameVectors(ours, peer []float64, tolerance float64) error {
	if len(ours) != len(peer) || len(ours) == 0 {
		return fmt.Errorf("%d numbers, the peer has %d", len(ours), len(peer))
	}
	for i, x := range ours {
		if !(math.Abs(x-peer[i]) <= tolerance) {
			return fmt.Errorf("the sides do not compute the same: number %d of the vectors is %g, the peer's %g", i, x, peer[i])
		}
	}
	return nil
}

// loadEncoder makes a sentence encoder and, in a folder of Hugging Face's kind, the same for the peer.
func (w *worker) loadEncoder(c command) error {
	if len(c.Texts) == 0 {
		return errors.New("sentences: there are none")
	}
	cfg, dims := c.Config.network()
	if err := w.open(cfg, dims, "", ""); err != nil {
		return err
	}
	w.texts = c.Texts
	store := w.session.Store()
	if c.Engine == "onnx-int8" {
		var err error
		if w.session, err = cfg.NewSession(dims, store, model.Options{Seed: 1, Int8: true}); err != nil {
			return err
		}
	}
	return interchange.Export(interchange.Checkpoint{
		Network: cfg, Dims: dims, Names: store.Names(),
		Shape:  func(name string) []int { return store.Shape(name) },
		Values: func(name string) []float32 { return store.Get(name).Float32s() },
	}, "hf", c.Dir, "")
}

// embed times the vectors of all texts. Values are those of the first and the last.
func (w *worker) embed(repeat int) (r reply, err error) {
	n, ok := w.session.Network().(model.Sentences)
	if !ok {
		return r, errors.New("embed: the network makes no vectors of texts")
	}
	n.Longest = n.Text.Length
	for range repeat {
		began := time.Now()
		vectors, err := sentence.Vectors(context.Background(), w.session, n, 0, w.texts, nil)
		if err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, time.Since(began).Seconds())
		r.Values = nil
		for _, x := range slices.Concat(vectors[0], vectors[len(vectors)-1]) {
			r.Values = append(r.Values, float64(x))
		}
	}
	return r, nil
}
