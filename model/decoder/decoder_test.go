package decoder

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
)

// normedQuery is the default of mfa_kr.
var normedQuery = attention.Factors{InterNorm: true}

// variants are networks that differ in what decoding depends on.
var variants = map[string]func(*Config){
	"mha": func(*Config) {},
	"gqa": func(c *Config) { c.Attention.OneOf, c.Attention.NKVHead = attention.As(attention.GQA{}), 2 },
	"mqa": func(c *Config) { c.Attention.OneOf = attention.As(attention.MQA{}) },
	"gpt2": func(c *Config) {
		c.Norm, c.MLP, c.Positions, c.Bias, c.Tied = "layer_norm", "gelu_tanh", "learned", true, true
	},
	"mfa": func(c *Config) {
		c.Attention.OneOf = attention.As(attention.MFA{Factors: attention.Factors{QRank: 20, InterNorm: true}})
		c.Attention.NHead, c.Attention.HeadDim = 6, 16
	},
	"mfa shared": func(c *Config) {
		c.Attention.OneOf = attention.As(attention.MFA{Factors: attention.Factors{Output: "shared"}})
	},
	"mfa_kr": func(c *Config) {
		c.Attention.OneOf, c.Attention.NHead, c.Attention.HeadDim = attention.As(attention.MFAKR{Factors: normedQuery}), 6, 16
	},
	"mla": func(c *Config) {
		c.Attention.OneOf = attention.As(attention.MLA{KVRank: 20, RopeDim: 6, VHeadDim: 10})
	},
	"mfa_kr, learned positions": func(c *Config) {
		c.Attention.OneOf, c.Positions = attention.As(attention.MFAKR{Factors: normedQuery}), "learned"
	},
	"mla, learned positions": func(c *Config) {
		c.Attention.OneOf, c.Positions = attention.As(attention.MLA{KVRank: 20, RopeDim: 6, QRank: 12}), "learned"
	},
	"wide heads": func(c *Config) { c.Attention.HeadDim = 24 },
	"attention bias": func(c *Config) {
		c.Attention.Of = attention.MHA{Projections: attention.Projections{Bias: true}}
	},
}

const vocab = 13

// small is a network of one variant with random weights far from their initial
// values, so that every part of it matters.
func small(t *testing.T, dtype tensor.Dtype, variant string, opts model.Options) *model.Session {
	t.Helper()
	cfg := Default()
	cfg.DModel, cfg.NLayer, cfg.DFF = 32, 2, 40
	variants[variant](&cfg)
	opts.Poison = true
	store := nn.NewStore(dtype)
	s, err := open(cfg, model.Text{Vocab: vocab, Length: 300}, store, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		r := rng.New(5, name, 0)
		if dtype == tensor.Float64 {
			rng.FillNormal(r, store.Get(name).Float64s(), 0.1, 0.3)
		} else {
			rng.FillNormal(r, store.Get(name).Float32s(), 0.1, 0.3)
		}
	}
	return s
}

// open is a session of a decoder.
func open(cfg Config, text model.Text, store *nn.Store, o model.Options) (*model.Session, error) {
	return model.NewSession(model.Language{Body: cfg, Text: text}, store, o)
}

// configOf are the config and the sizes that a decoder was made of.
func configOf(s *model.Session) (Config, model.Text) {
	n := s.Network().(model.Language)
	return n.Body.(Config), n.Text
}

// again is a session of the same network over another store.
func again(s *model.Session, store *nn.Store, o model.Options) (*model.Session, error) {
	cfg, text := configOf(s)
	return open(cfg, text, store, o)
}

// stages generates as AFD does.
func stages(ctx context.Context, s *model.Session, o model.Options, prompts [][]int, opts GenerateOptions, n int, emit func(seq, token int) error) (AFDStats, error) {
	cfg, text := configOf(s)
	return cfg.GenerateAFD(ctx, text, s.Store(), o, prompts, opts, n, emit)
}

// tokensOf draws a text.
func tokensOf(n int, stream string) []int {
	r := rng.New(9, stream, 0)
	out := make([]int, n)
	for i := range out {
		out[i] = r.Intn(vocab)
	}
	return out
}

var tapLogits = model.Options{Poison: true, Sites: []string{"logits"}}

// greedy continues a text by running the whole of it anew for every token.
func greedy(t *testing.T, s *model.Session, text []int, n int) (tokens []int, scores [][]float64) {
	t.Helper()
	for range n {
		p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(text)})
		if err != nil {
			t.Fatal(err)
		}
		p.Feed(map[string][]int{"tokens": text})
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		all := p.Output("logits").Float64s()
		last := all[(len(text)-1)*vocab:]
		best := 0
		for i, x := range last {
			if x > last[best] {
				best = i
			}
		}
		tokens, scores = append(tokens, best), append(scores, last)
		text = append(slices.Clone(text), best)
	}
	return tokens, scores
}

// TestDecodingEqualsForward: with a cache, prompts of unequal lengths in one
// batch, longer than one chunk too, give the tokens and, within 1e-5, the scores
// of a forward pass over the whole text.
func TestDecodingEqualsForward(t *testing.T) {
	for variant := range variants {
		t.Run(variant, func(t *testing.T) {
			prompts := [][]int{tokensOf(3, "a"), tokensOf(prefillChunk+9, "b"), tokensOf(1, "c"), tokensOf(prefillChunk, "d")}
			s := small(t, tensor.Float32, variant, model.Options{})
			const n = 6
			got := make([][]int, len(prompts))
			err := generate(context.Background(), s, prompts, GenerateOptions{Tokens: n}, func(i, token int) error {
				got[i] = append(got[i], token)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, prompt := range prompts {
				want, _ := greedy(t, small(t, tensor.Float32, variant, tapLogits), prompt, n)
				if !slices.Equal(got[i], want) {
					t.Errorf("prompt %d of %d tokens: got %v, want %v", i, len(prompt), got[i], want)
				}
			}
			checkScores(t, s, prompts, small(t, tensor.Float32, variant, tapLogits))
		})
	}
}

// checkScores compares the scores after each prompt, and after each of some tokens
// decoded one at a time behind it, with those of a forward pass.
func checkScores(t *testing.T, s *model.Session, prompts [][]int, full *model.Session) {
	t.Helper()
	past := make([]int, len(prompts))
	s = s.Decoding(len(prompts), 200)
	got, err := prefill(context.Background(), s, prompts, past)
	if err != nil {
		t.Fatal(err)
	}
	texts := slices.Clone(prompts)
	same := func() {
		t.Helper()
		for i, text := range texts {
			_, want := greedy(t, full, text, 1)
			for j := range want[0] {
				if !(math.Abs(got[i][j]-want[0][j]) <= 1e-5*max(1, math.Abs(want[0][j]))) {
					t.Errorf("prompt %d after %d tokens: score %d is %g, want %g", i, len(text), j, got[i][j], want[0][j])
				}
			}
		}
	}
	same()
	step, err := decoding(s, len(prompts), 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		for i := range texts {
			token := (5*n + 3*i + 1) % vocab
			texts[i] = append(slices.Clone(texts[i]), token)
			step.Ints("tokens")[i], step.Ints("fresh")[i] = token, 1
		}
		if err := advance(s, step, past, got); err != nil {
			t.Fatal(err)
		}
		same()
	}
}

// TestGenerateStops: at the number of tokens, at the stop token of each
// sequence, at an error of the caller, and when the context ends.
func TestGenerateStops(t *testing.T) {
	s := small(t, tensor.Float32, "mha", model.Options{})
	prompts := [][]int{tokensOf(4, "a"), tokensOf(2, "b")}
	run := func(ctx context.Context, opts GenerateOptions, emit func(int, int) error) ([2]int, error) {
		var n [2]int
		err := generate(ctx, s, prompts, opts, func(i, token int) error {
			n[i]++
			if emit != nil {
				return emit(i, token)
			}
			return nil
		})
		return n, err
	}
	if n, err := run(context.Background(), GenerateOptions{Tokens: 5}, nil); err != nil || n != [2]int{5, 5} {
		t.Errorf("5 tokens: got %v, %v", n, err)
	}
	first := -1
	run(context.Background(), GenerateOptions{Tokens: 1}, func(i, token int) error {
		if i == 0 {
			first = token
		}
		return nil
	})
	if n, err := run(context.Background(), GenerateOptions{Tokens: 5, Stop: func(token int) bool { return token == first }}, nil); err != nil || n[0] != 0 {
		t.Errorf("stop token: got %v, %v", n, err)
	}
	if n, err := run(context.Background(), GenerateOptions{Tokens: 5}, func(int, int) error { return fmt.Errorf("full") }); err == nil || n[0]+n[1] != 1 {
		t.Errorf("failing caller: got %v, %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := run(ctx, GenerateOptions{Tokens: 5}, nil); err == nil {
		t.Error("ended context: no error")
	}
}

// TestGenerateRefuses what it cannot do.
func TestGenerateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		variant string
		prompts [][]int
		tokens  int
		want    string
	}{
		"no prompt":         {"mha", nil, 3, "nothing to generate"},
		"empty prompt":      {"mha", [][]int{{1}, {}}, 3, "prompt 1 is empty"},
		"no tokens":         {"mha", [][]int{{1}}, 0, "at least one token"},
		"unknown token":     {"mha", [][]int{{vocab}}, 3, "id 13 at position 0"},
		"learned positions": {"gpt2", [][]int{tokensOf(299, "x")}, 2, "learned positions end at 300"},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t, tensor.Float32, c.variant, model.Options{})
			err := generate(context.Background(), s, c.prompts, GenerateOptions{Tokens: c.tokens}, func(int, int) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestScoresThatAreNoNumbers: a network with a damaged weight says so, and writes
// nothing, whatever its cache.
func TestScoresThatAreNoNumbers(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		for _, int8s := range []bool{false, true} {
			for _, temperature := range []float64{0, 1} {
				s := small(t, tensor.Float32, "mfa", model.Options{Int8Cache: int8s})
				s.Store().Get("model.layers.0.self_attn.k_proj.weight").Float32s()[3] = float32(bad)
				opts := GenerateOptions{Tokens: 2, Sampler: model.Sampler{Temperature: temperature}}
				n := 0
				emit := func(int, int) error { n++; return nil }
				prompts := [][]int{{1, 2}, {3}}
				err := generate(context.Background(), s, prompts, opts, emit)
				_, staged := stages(context.Background(), s, model.Options{Int8Cache: int8s}, prompts, opts, 2, emit)
				for _, err := range []error{err, staged} {
					if err == nil || !strings.Contains(err.Error(), "sequence 0: the score of token 0 is NaN: the weights are damaged") || n > 0 {
						t.Errorf("%v, 8 bits %v, temperature %g: %d tokens and %v, want an error", bad, int8s, temperature, n, err)
					}
				}
			}
		}
	}
}

// TestSites: values can be read by name, and the last block's output leads to the
// loss by hand.
func TestSites(t *testing.T) {
	s := small(t, tensor.Float64, "mha", model.Options{Sites: []string{"*"}})
	p, err := s.Program(model.Score, model.Shape{Rows: 2, Length: 5})
	if err != nil {
		t.Fatal(err)
	}
	text := tokensOf(11, "text")
	p.Feed(map[string][]int{"tokens": text[:10], "targets": text[1:]})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.layers.0.self_attn", "model.layers.0.mlp", "model.layers.0.output", "model.layers.1.output"} {
		if v := p.Site(name); v.Count != 10 || v.Width != 32 {
			t.Errorf("%s: %d values for each of %d rows", name, v.Width, v.Count)
		}
	}
	if _, err := s.Program(model.Score, model.Shape{Rows: 2, Length: 5}, "model.layers.7.output"); !errors.Is(err, model.ErrNoSite) {
		t.Errorf("a site that does not exist: %v", err)
	}
	x := p.Site("model.layers.1.output").Float64s()
	norm, head := s.Store().Get("model.norm.weight").Float64s(), s.Store().Get("lm_head.weight").Float64s()
	var loss float64
	for i := range 10 {
		row := x[i*32 : (i+1)*32]
		var square float64
		for _, v := range row {
			square += v * v
		}
		scale := 1 / math.Sqrt(square/32+1e-5)
		var sum, target float64
		for j := range vocab {
			var score float64
			for k, v := range row {
				score += v * scale * norm[k] * head[j*32+k]
			}
			sum += math.Exp(score)
			if j == text[i+1] {
				target = score
			}
		}
		loss += math.Log(sum) - target
	}
	if math.Abs(loss-p.Loss()) > 1e-9*loss {
		t.Errorf("loss by hand %g, of the program %g", loss, p.Loss())
	}
}

// TestSessionErrors: what a session is asked for and cannot do comes back as an
// error that says so.
func TestSessionErrors(t *testing.T) {
	s := small(t, tensor.Float32, "mha", model.Options{})
	if _, err := s.Program(model.Train, model.Shape{Rows: 1, Length: 4}); err == nil || !strings.Contains(err.Error(), "sink") {
		t.Errorf("training without a sink: %v", err)
	}
	if _, err := s.Program(model.Score, model.Shape{Rows: 1, Length: 301}); err == nil || !strings.Contains(err.Error(), "context is 300") {
		t.Errorf("too long: %v", err)
	}
	store := nn.NewStore(tensor.Float32)
	cfg, dims := configOf(s)
	if _, err := open(cfg, dims, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.DModel = 64
	if _, err := open(other, dims, store, model.Options{}); err == nil || !strings.Contains(err.Error(), "model.embed_tokens.weight has shape (13, 32), want [13 64]") {
		t.Errorf("weights of another shape: %v", err)
	}
	rules := []nn.Rule{{Match: "*.nothing", OneOf: nn.As(nn.Dense{})}}
	if _, err := open(cfg, dims, nn.NewStore(tensor.Float32), model.Options{Linear: rules}); err == nil || !strings.Contains(err.Error(), "*.nothing") {
		t.Errorf("pattern without a layer: %v", err)
	}
}
