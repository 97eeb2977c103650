package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/sbinet/npyio/npz"
	"gorgonia.org/tensor"

	"sparrow"
	"sparrow/attention"
	"sparrow/checkpoints"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/model/lama"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/train/optim"
)

// command is a request as the worker reads it.
type command struct {
	Cmd     string `json:"cmd"`
	Threads int    `json:"threads"`
	Config  config `json:"config"`
	Inputs  []int  `json:"inputs"`
	Targets []int  `json:"targets"`
	Weights string `json:"weights"`
	Steps   int    `json:"steps"`
	Prompt  []int  `json:"prompt"`
	Tokens  int    `json:"tokens"`
	Batch   int    `json:"batch"` // of products; 0: one
	M       int    `json:"m"`
	N       int    `json:"n"`
	K       int    `json:"k"`
	TA      bool   `json:"ta"`
	TB      bool   `json:"tb"`
	Repeat  int    `json:"repeat"`
	Rank    int    `json:"rank"`
	File    string `json:"file"` // that a profile is written to

	Precision string `json:"precision"` // of training: bfloat16, or float32 where it is empty

	Layer  layerConfig  `json:"layer"`
	GRU    gruConfig    `json:"gru"`
	Images imagesConfig `json:"images"`
	BERT   bertConfig   `json:"bert"`
	Texts  [][]int      `json:"token_ids"` // token ids, longest first
	Engine string       `json:"engine"`    // of the peer; with onnx-int8 our side computes by products of integers too
	Dir    string       `json:"dir"`       // of a compression, or where a sentence encoder is written for the peer
}

// worker is our side: it holds the network between commands.
type worker struct {
	cfg       config
	session   *model.Session
	program   *model.Program
	grads     *nn.Gradients
	optimizer *optim.AdamW
	steps     int
	targets   int
	layer     *layer
	scoring   *model.Program // of images; nil without
	texts     [][]int        // that are embedded
	many      *sparrow.Model // that many goroutines ask
}

// work answers commands until the input ends.
func work(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	w := &worker{}
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil
		}
		var c command
		var answer reply
		if err = json.Unmarshal(line, &c); err == nil {
			answer, err = w.answer(c)
		}
		if err != nil {
			answer = reply{Error: err.Error()}
		}
		if err := json.NewEncoder(out).Encode(answer); err != nil {
			return err
		}
	}
}

func (w *worker) answer(c command) (reply, error) {
	if c.Threads > 0 {
		kernel.SetThreads(c.Threads)
	}
	switch c.Cmd {
	case "step", "profile", "decode", "bandwidth", "layers":
		if w.program == nil {
			return reply{}, fmt.Errorf("%s: no network, send load first", c.Cmd)
		}
	case "pass":
		if w.layer == nil {
			return reply{}, errors.New("pass: no layer, send layer first")
		}
	case "embed":
		if w.texts == nil {
			return reply{}, errors.New("embed: no texts, send sentences first")
		}
	case "images-step", "images-infer":
		if w.scoring == nil {
			return reply{}, fmt.Errorf("%s: no network, send images first", c.Cmd)
		}
	}
	switch c.Cmd {
	case "many-load":
		return reply{}, w.loadMany(c)
	case "many":
		if w.many == nil {
			return reply{}, errors.New("many: no model, send many-load first")
		}
		return w.askMany(c.Repeat)
	case "info":
		return reply{PeerName: "sparrow", ISA: kernel.ISA(), PeerVersion: runtime.Version()}, nil
	case "load":
		return reply{}, w.load(c)
	case "step":
		return w.step(c.Steps)
	case "profile":
		return w.profile(c.Steps, c.File)
	case "decode":
		return w.decode(c)
	case "layers":
		return reply{Bytes: float64(w.layerBytes())}, nil
	case "gemm":
		return gemm(c)
	case "layer":
		var err error
		w.layer, err = newLayer(c.Layer)
		return reply{}, err
	case "gru":
		var err error
		w.layer, err = newGRU(c.GRU)
		return reply{}, err
	case "pass":
		return w.layer.run(c.Repeat)
	case "semi-nmf":
		return semiNMF(c.M, c.N, c.K, c.Repeat)
	case "svd":
		return decompose(c.Weights, c.Rank)
	case "bert":
		return reply{}, bertFolder(c.Dir, c.BERT)
	case "compress":
		return compressFolder(c.Dir)
	case "images":
		return reply{}, w.loadImages(c.Images, c.Weights, c.Precision)
	case "images-step":
		return w.step(c.Steps)
	case "images-infer":
		return w.infer(c.Steps)
	case "sentences":
		return reply{}, w.loadEncoder(c)
	case "embed":
		return w.embed(c.Repeat)
	case "peak":
		return reply{GFLOPS: kernel.MeasurePeak()}, nil
	case "bandwidth":
		store := w.session.Store()
		cacheBytes, err := w.session.CacheBytesPerToken()
		embedding := 4 * w.cfg.Vocab * w.cfg.DModel // of which a token reads one row
		return reply{Bandwidth: kernel.MeasureBandwidth(), WeightBytes: float64(store.Bytes() - embedding), CacheBytes: float64(cacheBytes)}, err
	case "rss":
		return reply{Bytes: float64(measure.PeakBytes())}, nil
	}
	return reply{}, fmt.Errorf("unknown command %q", c.Cmd)
}

// network is the session's config of a benchmark's network, without dropout.
func (c config) network() (recipe.Model, model.Dims) {
	m := recipe.DefaultModel()
	m.Choose(cmp.Or(c.Kind, m.Name), recipe.Lists())
	switch b := m.Of.(type) {
	case lama.Body:
		pool := attention.DefaultLAMA()
		pool.Heads = c.NHead
		b.EmbedDim, b.Hidden, b.Dropout, b.Pooling.Of = c.DModel, c.Hidden, 0, pool
		m.Of = b
	case encoder.Config:
		b.DModel, b.NLayer, b.DFF, b.Dropout = c.DModel, c.NLayer, c.DFF, 0
		b.Attention.NHead, b.Attention.HeadDim = c.NHead, c.HeadDim
		if c.Classes == 0 {
			b.Sentence = &encoder.Sentence{Pooling: "mean", Normalize: true}
		}
		m.Of = b
	case decoder.Config:
		b.DModel, b.NLayer, b.DFF = c.DModel, c.NLayer, c.DFF
		b.Attention.NHead, b.Attention.HeadDim = c.NHead, c.HeadDim
		switch {
		case c.QRank > 0:
			b.Attention.OneOf = attention.As(attention.MFA{Factors: attention.Factors{QRank: c.QRank, InterNorm: true}})
		case c.NKVHead != c.NHead:
			b.Attention.OneOf, b.Attention.NKVHead = attention.As(attention.GQA{}), c.NKVHead
		}
		m.Of = b
	}
	m.Linear = c.Linear
	if c.SLTrain != nil {
		m.Linear = []nn.Rule{c.SLTrain.linear("model.layers.*")}
	}
	return m, model.Dims{VocabSize: c.Vocab, Context: c.SeqLen, Classes: c.Classes}
}

func (w *worker) load(c command) error {
	w.cfg = c.Config
	cfg, dims := c.Config.network()
	err := w.open(cfg, dims, c.Weights, c.Precision)
	if err != nil || w.session.Store().Packed {
		return err // weights in few bits do not train
	}
	if w.program, err = w.session.Program(model.Train, model.Shape{Rows: c.Config.Batch, Length: c.Config.SeqLen}); err != nil {
		return err
	}
	w.program.Feed(map[string][]int{
		"tokens": c.Inputs, "targets": c.Targets, "lengths": slices.Repeat([]int{c.Config.SeqLen}, c.Config.Batch),
	})
	w.targets = len(c.Targets)
	return nil
}

// open makes a session of a network with the weights of a file, or initial ones without.
func (w *worker) open(cfg recipe.Model, dims model.Dims, weights, precision string) error {
	store := nn.NewStore(tensor.Float32)
	w.grads, w.optimizer, w.steps = nn.NewGradients(store), nil, 0
	var err error
	opts := model.Options{Seed: 1, Sink: w.grads, Precision: recipe.Train{Precision: &precision}.Reads()}
	if slices.ContainsFunc(cfg.Linear, func(l nn.Rule) bool { return l.Quantization().Bits > 0 }) {
		opts.Packed, opts.Sink = true, nil
	}
	if w.session, err = cfg.NewSession(dims, store, opts); err != nil {
		return err
	}
	for _, name := range store.Names() {
		if store.InFewBits(name) { // which no initial values are
			values := make([]float32, store.Shape(name).TotalSize())
			rng.FillNormal(rng.New(1, name, 0), values, 0, decoder.Default().InitStd)
			store.Codes(name).Quantize(values)
		}
	}
	if weights == "" {
		return nil
	}
	f, err := npz.Open(weights)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, name := range store.Names() {
		if store.InFewBits(name) {
			return fmt.Errorf("%s is in few bits; the weights are float32", name)
		}
		var values []float32
		if err := f.Read(name+".npy", &values); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		copy(store.Get(name).Float32s(), values)
	}
	return nil
}

// step trains as the trainer does: gradients, clipping by the global norm, AdamW.
func (w *worker) step(n int) (reply, error) {
	var r reply
	if w.optimizer == nil {
		w.optimizer = optim.NewAdamW(recipe.Train{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}, w.session.Store())
	}
	for range n {
		began := time.Now()
		if err := w.program.Run(); err != nil {
			return r, err
		}
		scale := 1 / float64(w.targets)
		r.Loss = w.program.Loss() * scale
		norm := optim.GradNorm(w.grads) * scale
		w.steps++
		optim.UpdateAll(w.optimizer, w.grads, w.steps, 1e-3, scale*min(1, 1/(norm+1e-6)))
		r.Seconds = append(r.Seconds, time.Since(began).Seconds())
	}
	return r, nil
}

// decode continues a prompt greedily and times each token after the first.
func (w *worker) decode(c command) (reply, error) {
	var r reply
	last := time.Now()
	n := 0
	err := decode.Generate(context.Background(), w.session, [][]int{c.Prompt}, decode.Request{Tokens: c.Tokens}, func(int, int) error {
		now := time.Now()
		if n++; n > 2 { // the first step of a program also compiles it
			r.Seconds = append(r.Seconds, now.Sub(last).Seconds())
		}
		last = now
		return nil
	})
	return r, err
}

// gemm times products of random matrices, which are stored transposed if so asked.
func gemm(c command) (reply, error) {
	batch := max(c.Batch, 1)
	if c.M < 1 || c.N < 1 || c.K < 1 {
		return reply{}, fmt.Errorf("gemm: m, n, k = %d, %d, %d; want 1 or more", c.M, c.N, c.K)
	}
	random := rng.New(1, "gemm", 0)
	matrix := func(n int) []float32 {
		x := make([]float32, n)
		rng.FillNormal(random, x, 0, 1)
		return x
	}
	a, b, out := matrix(batch*c.M*c.K), matrix(batch*c.K*c.N), make([]float32, batch*c.M*c.N)
	lda, ldb := c.K, c.N
	if c.TA {
		lda = c.M
	}
	if c.TB {
		ldb = c.K
	}
	var r reply
	for i := range 3 + c.Repeat {
		began := time.Now()
		if batch == 1 {
			kernel.Gemm(c.TA, c.TB, c.M, c.N, c.K, 1, a, lda, b, ldb, 0, out, c.N)
		} else {
			kernel.GemmBatched(c.TA, c.TB, batch, c.M, c.N, c.K, 1, a, lda, c.M*c.K, b, ldb, c.K*c.N, 0, out, c.N, c.M*c.N)
		}
		if i >= 3 {
			r.Seconds = append(r.Seconds, time.Since(began).Seconds())
		}
	}
	return r, nil
}

// writeWeights makes the initial weights that both sides load.
func writeWeights(c config) (path string, done func(), err error) {
	cfg, dims := c.network()
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.NewSession(dims, store, model.Options{Seed: 1}); err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", nil, err
	}
	done = func() { os.RemoveAll(dir) }
	var arrays []checkpoints.Array
	for _, name := range store.Names() {
		d := store.Get(name)
		arrays = append(arrays, checkpoints.Array{Name: name, Shape: d.Shape(), Data: d.Float32s()})
	}
	folder := dir + "/weights"
	err = checkpoints.Write(folder, checkpoints.Contents{Kind: cfg.Name, Arrays: map[string][]checkpoints.Array{"model.npz": arrays}})
	return folder + "/model.npz", done, err
}
