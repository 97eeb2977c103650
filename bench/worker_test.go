package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"

	"sparrow/kernel"
	"sparrow/model/decoder"
	"sparrow/nn"
)

// tiny is a network of a few thousand weights with every feature of the large ones.
var tiny = config{Vocab: 16, DModel: 8, NLayer: 1, NHead: 2, NKVHead: 1, DFF: 12, SeqLen: 8, Batch: 2}

// answers is what one worker says to lines of input.
func answers(t *testing.T, lines ...any) []reply {
	t.Helper()
	defer kernel.SetThreads(0)
	var in, out bytes.Buffer
	for _, l := range lines {
		text, isText := l.(string)
		if !isText {
			b, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		in.WriteString(text + "\n")
	}
	if err := work(&in, &out); err != nil {
		t.Fatal(err)
	}
	var all []reply
	for d := json.NewDecoder(&out); d.More(); {
		var a reply
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	if len(all) != len(lines) {
		t.Fatalf("%d lines of input got %d answers", len(lines), len(all))
	}
	return all
}

func loadTiny(t *testing.T) request {
	t.Helper()
	return loadConfig(t, tiny)
}

func loadConfig(t *testing.T, tiny config) request {
	t.Helper()
	path, done, err := writeWeights(tiny)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	n := tiny.Batch * tiny.SeqLen
	tokens := make([]int, n+1)
	for i := range tokens {
		tokens[i] = i * 5 % tiny.Vocab
	}
	return request{"cmd": "load", "config": tiny, "threads": 1, "weights": path, "inputs": tokens[:n], "targets": tokens[1:]}
}

// tinyMFA has two heads wider than d_model / n_head.
var tinyMFA = config{Vocab: 16, DModel: 8, NLayer: 1, NHead: 2, NKVHead: 1, HeadDim: 6, QRank: 5, DFF: 12, SeqLen: 8, Batch: 2}

// The networks whose steps are measured have the attention that their names say, and step-mfa as many parameters in each
// block as step-b, within 1%.
func TestNetworks(t *testing.T) {
	perBlock := map[string]float64{}
	for name, kind := range map[string]string{"step-a": "mha", "step-b": "mha", "step-mfa": "mfa", "decode-b": "mha"} {
		m, _ := networks[name].network()
		cfg := m.Of.(decoder.Config)
		if cfg.Attention.Name != kind {
			t.Errorf("%s has %s, want %s", name, cfg.Attention.Name, kind)
		}
		perBlock[name] = cfg.Attention.Parameters(cfg.DModel) + 3*float64(cfg.DModel*cfg.DFF)
	}
	if ratio := perBlock["step-mfa"] / perBlock["step-b"]; math.Abs(ratio-1) > 0.01 {
		t.Errorf("a block of step-mfa has %.3f times the parameters of one of step-b, want 1", ratio)
	}
}

// tinyLayer is a layer of few values whose loss has two rows.
var tinyLayer = layerConfig{N: lossStride + 1, In: 6, Out: 5, factors: factors{Rank: 2, Alpha: 4, Density: 0.5}}

// withFactors asks for the same network with SLTrain layers and weights of its own.
func withFactors(load request) request {
	c := tiny
	c.SLTrain = &tinyLayer.factors
	load = maps.Clone(load)
	load["config"] = c
	delete(load, "weights")
	return load
}

// loadLinear loads a tiny network whose heads are as wide in keys as in queries, with these linear layers.
func loadLinear(t *testing.T, linear []nn.Rule) request {
	t.Helper()
	c := tiny
	c.NKVHead, c.Linear = c.NHead, linear
	load := maps.Clone(loadTiny(t))
	load["config"] = c
	delete(load, "weights")
	return load
}

// TestLayerFile: what the peer reads is what our side computes with.
func TestLayerFile(t *testing.T) {
	l, err := newLayer(tinyLayer)
	if err != nil {
		t.Fatal(err)
	}
	path, done, err := l.write(l.places())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	f, err := npz.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range layerParams {
		var got []float32
		if err := f.Read(name+".npy", &got); err != nil || !slices.Equal(got, l.store.Get(name).Float32s()) {
			t.Errorf("%s: got %d values (%v)", name, len(got), err)
		}
	}
	for name, want := range map[string][]int32{"places": l.store.Index("layer.sparse.indices"), "rows": {0, lossStride}, "targets": {0, 4}} {
		var got []int32
		if err := f.Read(name+".npy", &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v (%v), want %v", name, got, err, want)
		}
	}
}

func TestWorkerAnswers(t *testing.T) {
	load := loadTiny(t)
	matrix, done, err := writeMatrix(12, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	folder := t.TempDir()
	positive := func(t *testing.T, a reply, n int) {
		t.Helper()
		if len(a.Seconds) != n {
			t.Errorf("%d times, want %d", len(a.Seconds), n)
		}
		for _, s := range a.Seconds {
			if !(s > 0) {
				t.Errorf("a time of %g s", s)
			}
		}
	}
	for _, tc := range []struct {
		name  string
		lines []any
		check func(t *testing.T, a reply)
	}{
		{"info", []any{request{"cmd": "info", "threads": 1}}, func(t *testing.T, a reply) {
			if a.PeerName != "sparrow" || a.ISA != kernel.ISA() || a.PeerVersion != runtime.Version() {
				t.Errorf("got %+v", a)
			}
		}},
		{"step", []any{load, request{"cmd": "step", "steps": 1}, request{"cmd": "step", "steps": 30}}, func(t *testing.T, a reply) {
			positive(t, a, 30)
			// An untrained network is near ln 16 = 2.77; these 16 tokens are soon known by heart.
			if !(a.Loss > 0 && a.Loss < math.Log(16)-0.1) {
				t.Errorf("loss after 31 steps is %g", a.Loss)
			}
		}},
		{"step of MFA", []any{loadConfig(t, tinyMFA), request{"cmd": "step", "steps": 31}}, func(t *testing.T, a reply) {
			if !(a.Loss > 0 && a.Loss < math.Log(16)-0.1) {
				t.Errorf("loss after 31 steps is %g", a.Loss)
			}
		}},
		{"load starts again", []any{load, request{"cmd": "step", "steps": 30}, load, request{"cmd": "step", "steps": 1}}, func(t *testing.T, a reply) {
			if math.Abs(a.Loss-math.Log(16)) > 0.1 {
				t.Errorf("first loss %g, want about ln 16", a.Loss)
			}
		}},
		{"decode", []any{load, request{"cmd": "decode", "prompt": []int{1, 2}, "tokens": 5}}, func(t *testing.T, a reply) { positive(t, a, 3) }},
		{"gemm", []any{request{"cmd": "gemm", "m": 5, "n": 7, "k": 3, "ta": true, "tb": true, "repeat": 4}}, func(t *testing.T, a reply) { positive(t, a, 4) }},
		{"gemm of a batch", []any{request{"cmd": "gemm", "batch": 3, "m": 5, "n": 7, "k": 2, "ta": true, "repeat": 2}}, func(t *testing.T, a reply) { positive(t, a, 2) }},
		{"layer", []any{request{"cmd": "layer", "layer": tinyLayer}, request{"cmd": "pass", "repeat": 3}}, func(t *testing.T, a reply) {
			positive(t, a, 3)
			if len(a.Norms) != len(layerParams) || slices.Min(a.Norms) <= 0 || !(a.Loss > 0) {
				t.Errorf("loss %g, squared gradients %v: want 4 of them and all above 0", a.Loss, a.Norms)
			}
		}},
		{"sltrain step", []any{withFactors(load), request{"cmd": "step", "steps": 30}}, func(t *testing.T, a reply) {
			positive(t, a, 30)
			if !(a.Loss > 0 && a.Loss < math.Log(16)-0.1) {
				t.Errorf("loss after 30 steps is %g", a.Loss)
			}
		}},
		{"svd", []any{request{"cmd": "svd", "weights": matrix, "rank": 4}, request{"cmd": "svd", "weights": matrix, "rank": 12}}, func(t *testing.T, a reply) {
			positive(t, a, 1)
			if len(a.Values) != 12 || !slices.IsSortedFunc(a.Values, func(x, y float64) int { return cmp.Compare(y, x) }) || a.Values[11] <= 0 {
				t.Errorf("singular values %v, want 12 above 0 that fall", a.Values)
			}
		}},
		{"semi-nmf", []any{request{"cmd": "semi-nmf", "m": 60, "n": 9, "k": 4, "repeat": 3}}, func(t *testing.T, a reply) {
			positive(t, a, 3)
			if len(a.Values) != 3 {
				t.Errorf("%d times of products, want 3", len(a.Values))
			}
		}},
		{"layers", []any{loadLinear(t, lowRankLayers(0.5, tiny.blockShapes())), request{"cmd": "layers"}}, func(t *testing.T, a reply) {
			// Ranks 2 of q, k, v and o, which are alike here, and of gate, up and down.
			if want := 4 * 2 * (4*(8+8) + 3*(8+12)); a.Bytes != float64(want) {
				t.Errorf("%g bytes, want %d", a.Bytes, want)
			}
		}},
		{"decode in factors", []any{loadLinear(t, lowRankLayers(0.5, tiny.blockShapes())), request{"cmd": "decode", "prompt": []int{1, 2}, "tokens": 5}}, func(t *testing.T, a reply) { positive(t, a, 3) }},
		{"compress", []any{request{"cmd": "bert", "bert": bertConfig{DModel: 16, NLayer: 1, NHead: 2, DFF: 24}, "dir": folder}, request{"cmd": "compress", "dir": folder}}, func(t *testing.T, a reply) {
			positive(t, a, 1)
			if a.Layers != 6 || len(a.Values) != 2 || a.Values[0] != 4*16*16+2*16*24 || a.Values[1] > a.Values[0]/2 || a.Values[1] < a.Values[0]/2-40 {
				t.Errorf("%d layers of %v weights before and after; want 6, of which half remains", a.Layers, a.Values)
			}
		}},
		{"rss", []any{request{"cmd": "rss"}}, func(t *testing.T, a reply) {
			if runtime.GOOS == "linux" && a.Bytes < 1e6 {
				t.Errorf("%g bytes", a.Bytes)
			}
		}},
		{"bandwidth", []any{load, request{"cmd": "bandwidth"}}, func(t *testing.T, a reply) {
			// q and o 8x8, k and v 4x8, gate, up and down 8x12, three norms of 8, a head of 16x8.
			if weights := 4 * (2*64 + 2*32 + 3*96 + 3*8 + 128); a.WeightBytes != float64(weights) {
				t.Errorf("a token reads %g bytes of weights, want %d", a.WeightBytes, weights)
			}
			if a.CacheBytes != 2*4*4 || !(a.Bandwidth > 0) {
				t.Errorf("%g bytes of cache a token, %g bytes/s; want 32 and more than 0", a.CacheBytes, a.Bandwidth)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all := answers(t, tc.lines...)
			for i, a := range all {
				if a.Error != "" {
					t.Fatalf("line %d: %s", i+1, a.Error)
				}
			}
			tc.check(t, all[len(all)-1])
		})
	}
}

// A bad command is answered by an error, and the next one is answered as ever.
func TestWorkerRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		line       any
	}{
		{"unknown", `unknown command "dance"`, request{"cmd": "dance"}},
		{"no JSON", "invalid character", "what?"},
		{"step without a network", "step: no network", request{"cmd": "step", "steps": 1}},
		{"decode without a network", "decode: no network", request{"cmd": "decode", "tokens": 1}},
		{"bandwidth without a network", "bandwidth: no network", request{"cmd": "bandwidth"}},
		{"layers without a network", "layers: no network", request{"cmd": "layers"}},
		{"nothing to compress", "no checkpoint to use", request{"cmd": "compress", "dir": "nowhere"}},
		{"pass without a layer", "pass: no layer", request{"cmd": "pass", "repeat": 1}},
		{"no layer", "layer: n, in, out, rank = 0, 4, 4, 2", request{"cmd": "layer", "layer": layerConfig{0, 4, 4, factors{2, 1, 0.5}}}},
		{"no matrix", "svd: ", request{"cmd": "svd", "rank": 1}},
		{"no vectors", "semi-nmf: got 0 vectors of 9, 4 features and 1 turns", request{"cmd": "semi-nmf", "n": 9, "k": 4, "repeat": 1}},
		{"no product", "gemm: m, n, k = 0, 7, -1", request{"cmd": "gemm", "n": 7, "k": -1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all := answers(t, tc.line, request{"cmd": "info"})
			if !strings.Contains(all[0].Error, tc.want) {
				t.Errorf("got %q, want %q", all[0].Error, tc.want)
			}
			if all[1].Error != "" || all[1].ISA == "" {
				t.Errorf("the next command got %+v", all[1])
			}
		})
	}
}
