package main

import (
	"fmt"
	"math"
	"slices"

	"sparrow/internal/measure"
	"sparrow/internal/rng"
)

// config is a network of the benchmark, in the peer's words.
type config struct {
	Kind    string `json:"kind,omitempty"`    // decoder (or ""), encoder or lama; without dropout
	Classes int    `json:"classes,omitempty"` // of an encoder or a lama; 0: an encoder makes vectors of texts

	Vocab   int `json:"vocab"`
	DModel  int `json:"d_model"`
	NLayer  int `json:"n_layer"`
	NHead   int `json:"n_head"`
	DFF     int `json:"d_ff"`
	SeqLen  int `json:"seq_len"`
	Batch   int `json:"batch"`
	NKVHead int `json:"n_kv_head"`
	HeadDim int `json:"head_dim,omitempty"` // 0: d_model / n_head
	Hidden  int `json:"hidden,omitempty"`   // of each direction of a lama, whose embeddings are d_model wide
	QRank   int `json:"q_rank,omitempty"`   // of multi-matrix factorization attention; 0: MHA, GQA or MQA

	SLTrain *factors `json:"sltrain,omitempty"` // of every linear layer of the blocks; nil: dense
	Linear  rules    `json:"linear,omitempty"`  // of layers by pattern, where SLTrain is nil
}

// networks are LLaMA-style decoders with an untied head, and classifiers of texts.
var networks = map[string]config{
	"step-a": {Vocab: 256, DModel: 256, NLayer: 4, NHead: 4, NKVHead: 4, DFF: 688, SeqLen: 128, Batch: 8},
	"step-b": {Vocab: 4096, DModel: 512, NLayer: 8, NHead: 8, NKVHead: 8, DFF: 1376, SeqLen: 256, Batch: 8},
	// Half of step-b with MFA of as many parameters: m = 8, C = 128, C_q = 256.
	"step-mfa": {Vocab: 4096, DModel: 512, NLayer: 4, NHead: 8, NKVHead: 1, HeadDim: 128, QRank: 256, DFF: 1376, SeqLen: 256, Batch: 8},
	// BERT's proportions at d_model 256.
	"step-encoder": {Kind: "encoder", Classes: 2, Vocab: 8192, DModel: 256, NLayer: 4, NHead: 4, NKVHead: 4, DFF: 1024, SeqLen: 128, Batch: 32},
	// The network of configs/imdb-lama.toml.
	"step-lama": {Kind: "lama", Classes: 2, Vocab: 20000, DModel: 100, Hidden: 50, NHead: 10, NKVHead: 10, SeqLen: 200, Batch: 32},
	"decode-b":  {Vocab: 4096, DModel: 512, NLayer: 8, NHead: 8, NKVHead: 8, DFF: 1376, SeqLen: 256, Batch: 1},
	// Two blocks of the paper's 130M network, with a small vocabulary: all but the blocks costs the same either way.
	"sltrain-step": {Vocab: 1024, DModel: 768, NLayer: 2, NHead: 12, NKVHead: 12, DFF: 2048, SeqLen: 256, Batch: 16,
		SLTrain: &factors{Rank: 256, Alpha: 16, Density: 0.03}},
}

// tokens are random inputs and what follows each, or of a classifier labels.
func (c config) tokens() (inputs, targets []int) {
	r := rng.New(1, "bench", 0)
	n := c.Batch * c.SeqLen
	tokens := make([]int, n+1)
	for i := range tokens {
		tokens[i] = r.Intn(c.Vocab)
	}
	if c.Classes > 0 {
		labels := make([]int, c.Batch)
		for i := range labels {
			labels[i] = r.Intn(c.Classes)
		}
		return tokens[:n], labels
	}
	return tokens[:n], tokens[1:]
}

// result starts a line from two medians; peer < 0 means there is none.
func (b *bench) result(name, unit string, ours, peer float64) result {
	r := result{Name: name, Threads: b.threads, Ours: ours, InstructionSet: b.ours.isa, Unit: unit}
	if b.peer != nil {
		ratio := ours / peer
		r.Peer, r.Ratio = &peer, &ratio
		r.PeerName, r.PeerVersion, r.PeerBLAS = &b.faster().name, &b.peer.version, &b.peer.blas
	}
	return r
}

// speedup is how many times faster two threads are than one, on each side.
func speedup(one, two result) result {
	r := result{Name: one.Name + "/speedup", Threads: two.Threads, Ours: one.Ours / two.Ours, Unit: "x",
		PeerName: one.PeerName, PeerVersion: one.PeerVersion, PeerBLAS: one.PeerBLAS, InstructionSet: one.InstructionSet,
		Note: "time of 1 thread over time of 2: higher is better"}
	if one.Peer != nil && two.Peer != nil {
		peer := *one.Peer / *two.Peer
		ratio := r.Ours / peer
		r.Peer, r.Ratio = &peer, &ratio
	}
	return r
}

// sides are the processes that exist.
func (b *bench) sides() []*side {
	if b.peer == nil {
		return []*side{b.ours}
	}
	if b.compiled == nil {
		return []*side{b.ours, b.peer}
	}
	return []*side{b.ours, b.peer, b.compiled}
}

// faster is the peer that the last measurement found faster, of one and the same with torch.compile.
func (b *bench) faster() *side {
	if b.best != nil {
		return b.best
	}
	return b.peer
}

// alternate asks the sides in turn and returns all times of each, of the peers those of the faster one.
func (b *bench) alternate(rounds int, r request) (ours, peer []float64, err error) {
	times := map[*side][]float64{}
	for range rounds {
		for _, s := range b.sides() {
			a, err := s.ask(r)
			if err != nil {
				return nil, nil, err
			}
			times[s] = append(times[s], a.Seconds...)
		}
	}
	if b.compiled == nil {
		return times[b.ours], times[b.peer], nil
	}
	eager, compiled := measure.Median(times[b.peer]), measure.Median(times[b.compiled])
	if b.best = b.peer; compiled < eager {
		b.best = b.compiled
	}
	b.contest = fmt.Sprintf("; peer eager %.4g s, compiled %.4g s", eager, compiled)
	return times[b.ours], times[b.best], nil
}

// step measures training steps: forward, backward, clipping and AdamW.
func (b *bench) step(name string) error {
	c := networks[name]
	inputs, targets := c.tokens()
	load := request{"cmd": "load", "config": c, "threads": b.threads, "inputs": inputs, "targets": targets}
	weights, done, err := writeWeights(c)
	if err != nil {
		return err
	}
	defer done()
	load["weights"] = weights
	losses := map[*side]float64{}
	for _, s := range b.sides() {
		if _, err := s.ask(b.training(s, load)); err != nil {
			return err
		}
		a, err := s.ask(request{"cmd": "step", "steps": 2}) // warms up
		if err != nil {
			return err
		}
		losses[s] = a.Loss
	}
	if err := b.sameLoss(name, losses); err != nil {
		return err
	}
	if b.profile {
		return b.profiled(name, "step")
	}
	ours, peer, err := b.alternate(b.rounds, request{"cmd": "step", "steps": 3})
	if err != nil {
		return err
	}
	out := b.result(name, "s", measure.Median(ours), measure.Median(peer))
	if err := b.memory(&out); err != nil {
		return err
	}
	if out.OursPeakMB != nil && out.PeerPeakMB != nil {
		ours, peer, base := *out.OursPeakMB, *out.PeerPeakMB, *out.PeerBaseMB
		out.Note = fmt.Sprintf("memory ratio %.2f (%.2f without the peer's code of %.0f MB)%s", ours/peer, ours/(peer-base), base, b.contest)
	}
	if name == "step-encoder" && b.precision == "bfloat16" {
		out.Note += "; ours computes the last layer after its attention for the tokens that are read, the peer for all"
	}
	b.emit(out)
	return nil
}

// memory asks the sides for the peaks of their processes.
func (b *bench) memory(out *result) error {
	for _, s := range b.sides() {
		if s != b.ours && s != b.faster() {
			continue
		}
		a, err := s.ask(request{"cmd": "rss"})
		if err != nil {
			return err
		}
		if a.Bytes == 0 {
			continue // only Linux tells
		}
		mb := a.Bytes / 1e6
		if s == b.ours {
			out.OursPeakMB = &mb
			continue
		}
		base := a.BaseBytes / 1e6
		out.PeerPeakMB, out.PeerBaseMB = &mb, &base
	}
	return nil
}

// decode measures greedy decoding of one sequence with a cache, and how close it
// comes to reading weights and cache once a token at the speed of memory.
func (b *bench) decode(name string) error {
	c := networks[name]
	tokens := make([]int, c.SeqLen)
	for _, s := range b.sides() {
		if _, err := s.ask(request{"cmd": "load", "config": c, "threads": b.threads, "inputs": tokens, "targets": tokens}); err != nil {
			return err
		}
	}
	const prompt, length = 16, 112
	var ours, peer, speeds []float64
	var mem reply
	for range b.rounds {
		// The speed of memory is measured in turn too: on a shared machine it changes.
		o, p, err := b.alternate(1, request{"cmd": "decode", "prompt": tokens[:prompt], "tokens": length})
		if err != nil {
			return err
		}
		if mem, err = b.ours.ask(request{"cmd": "bandwidth"}); err != nil {
			return err
		}
		ours, peer, speeds = append(ours, o...), append(peer, p...), append(speeds, mem.Bandwidth)
	}
	out := b.result(name, "s", measure.Median(ours), measure.Median(peer))
	bytes, speed := mem.WeightBytes+mem.CacheBytes*(prompt+length/2), measure.Median(speeds)
	out.Note = fmt.Sprintf("%.1f tokens/s; %.0f%% of the roofline: %.1f MB a token at %.1f GB/s", 1/out.Ours, 100*bytes/speed/out.Ours, bytes/1e6, speed/1e9)
	b.emit(out)
	return nil
}

// shape is batch independent products [m, k] x [k, n].
type shape struct{ batch, m, n, k int }

// shapes are those of layers, of their gradients, of decoding and of attention.
var shapes = []shape{
	{1, 1024, 256, 256}, {1, 1024, 1024, 256}, {1, 1024, 256, 1024}, {1, 512, 512, 512}, {1, 1024, 1024, 1024},
	{1, 1024, 688, 256}, {1, 1024, 256, 688}, {1, 2048, 512, 512}, {1, 1, 512, 512},
	{64, 128, 128, 64},
}

func (s shape) String() string {
	product := fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k)
	if s.batch > 1 {
		return fmt.Sprintf("%d*%s", s.batch, product)
	}
	return product
}

// gemm measures float32 matrix products and the geometric mean of their ratios.
func (b *bench) gemm(string) error {
	var ratios []float64
	peak, err := b.ours.ask(request{"cmd": "peak"})
	if err != nil {
		return err
	}
	for _, s := range shapes {
		for _, op := range []struct {
			name   string
			ta, tb bool
		}{{"nn", false, false}, {"nt", false, true}, {"tn", true, false}} {
			r := request{"cmd": "gemm", "batch": s.batch, "m": s.m, "n": s.n, "k": s.k, "ta": op.ta, "tb": op.tb, "repeat": 7}
			ours, peer, err := b.alternate(b.rounds, r)
			if err != nil {
				return err
			}
			out := b.result(fmt.Sprintf("gemm/%s/%s", s, op.name), "s", measure.Median(ours), measure.Median(peer))
			// The peak is the fastest of several tries, so its share is that of the fastest product.
			work := 2 * float64(s.batch*s.m*s.n*s.k) / 1e9
			out.Note = fmt.Sprintf("%.1f GFLOP/s, at best %.0f%% of the peak", work/out.Ours, 100*work/slices.Min(ours)/peak.GFLOPS/float64(b.threads))
			b.emit(out)
			if out.Ratio != nil {
				ratios = append(ratios, *out.Ratio)
			}
		}
	}
	b.emitMean("gemm", ratios, "products")
	return nil
}

// emitMean sums up ratios of several things of one kind; without a peer there is none.
func (b *bench) emitMean(name string, ratios []float64, things string) {
	if b.peer == nil || len(ratios) == 0 {
		return
	}
	var logs float64
	for _, r := range ratios {
		logs += math.Log(r)
	}
	mean := math.Exp(logs / float64(len(ratios)))
	b.emit(result{Name: name, Threads: b.threads, Ours: mean, InstructionSet: b.ours.isa, Unit: "ratio", Ratio: &mean,
		PeerName: &b.peer.name, PeerVersion: &b.peer.version, PeerBLAS: &b.peer.blas, Note: fmt.Sprintf("geometric mean over %d %s", len(ratios), things)})
}
