package lama_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/lama"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// tinyLAMA is a network whose every parameter can be moved. With few heads the
// scores' norm may be small, and its third derivative too large for differences.
func tinyLAMA(edit func(*lama.Config)) lama.Config {
	c := lama.Default()
	pool := attention.DefaultLAMA()
	pool.Heads = 6
	c.EmbedDim, c.Hidden, c.Dropout, c.Pooling.Of = 3, 2, 0, pool
	if edit != nil {
		edit(&c)
	}
	return c
}

// Texts of the tests, of 4 and 2 words; the rest is padding.
var (
	textTokens  = []int{1, 4, 2, 1, 3, 0, 4, 4}
	textLengths = []int{4, 2}
	textSizes   = model.Text{Vocab: 5, Length: 4}
)

const textClasses = 3

// lamaGraph is a network on a tape of its own.
func lamaGraph(cfg lama.Config, store *nn.Store, sink op.Sink, tokens, lengths []int) (*op.Tape, *G.Node) {
	tape := op.NewTape(tensor.Float64, sink != nil)
	return tape, lamaScores(cfg, nn.NewBuilder(tape, store, nn.Options{Seed: 1, Sink: sink}), tokens, lengths)
}

// lamaScores are a network's scores of texts.
func lamaScores(cfg lama.Config, b *nn.Builder, tokens, lengths []int) *G.Node {
	g := model.NewGraph(b, model.Train, model.Shape{Rows: len(lengths), Length: len(tokens) / len(lengths)})
	body := lama.Body{Config: cfg}
	out := body.Head(g, body.Pool(g, textSizes), textClasses)
	copy(g.Values("tokens"), tokens)
	copy(g.Values("lengths"), lengths)
	return out
}

// TestLAMA: embedding, both directions, annotation, heads, pooled states and
// classifier, word by word.
func TestLAMA(t *testing.T) {
	for name, cfg := range map[string]lama.Config{
		"lama":                tinyLAMA(nil),
		"with a hidden layer": tinyLAMA(func(c *lama.Config) { c.ClassifierHidden = 4 }),
	} {
		t.Run(name, func(t *testing.T) {
			nntest.Check(t, nntest.Layer{
				Build: func(b *nn.Builder) *G.Node { return lamaScores(cfg, b, textTokens, textLengths) },
				Naive: func(v map[string][]float64) []float64 {
					var scores []float64
					for b, n := range textLengths {
						scores = append(scores, naiveLAMA(cfg, v, textTokens[b*4:][:n])...)
					}
					return scores
				},
				Shape: []int{len(textLengths), textClasses},
			})
		})
	}
}

// naiveLAMA is the scores of one text.
func naiveLAMA(cfg lama.Config, v map[string][]float64, words []int) []float64 {
	d, heads := 2*cfg.Hidden, cfg.Pooling.Of.(attention.LAMA).Heads
	states := make([][]float64, len(words))
	for i := range states {
		states[i] = make([]float64, d)
	}
	for place, direction := range []string{"forward", "reverse"} {
		h := make([]float64, cfg.Hidden)
		for i := range words {
			t := i
			if direction == "reverse" {
				t = len(words) - 1 - i
			}
			h = naiveGRU(v, "model.gru."+direction, v["model.embed_tokens.weight"][words[t]*cfg.EmbedDim:][:cfg.EmbedDim], h)
			copy(states[t][place*cfg.Hidden:], h)
		}
	}
	c := affine(v["model.pooling.context"], v["model.pooling.context_proj.weight"], nil)
	sums, s := make([]float64, heads), make([]float64, heads*d)
	for _, h := range states {
		u := affine(h, v["model.pooling.annotation.weight"], v["model.pooling.annotation.bias"])
		for i := range u {
			u[i] = math.Tanh(u[i])
		}
		f := affine(u, v["model.pooling.word_proj.weight"], nil)
		var squares float64
		for j := range f {
			f[j] = math.Tanh(f[j] * c[j])
			squares += f[j] * f[j]
		}
		for j := range f {
			w := math.Exp(f[j] / math.Sqrt(squares))
			sums[j] += w
			for i := range d {
				s[j*d+i] += w * h[i]
			}
		}
	}
	for i := range s {
		s[i] /= sums[i/d]
	}
	if cfg.ClassifierHidden > 0 {
		s = affine(s, v["classifier.dense.weight"], v["classifier.dense.bias"])
		for i := range s {
			s[i] = max(s[i], 0)
		}
	}
	return affine(s, v["classifier.out.weight"], v["classifier.out.bias"])
}

// naiveGRU is the state after one word.
func naiveGRU(v map[string][]float64, name string, x, h []float64) []float64 {
	in := affine(x, v[name+".ih.weight"], v[name+".ih.bias"])
	recurrent := affine(h, v[name+".hh.weight"], v[name+".hh.bias"])
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	next := make([]float64, len(h))
	for j := range next {
		r, z := sigmoid(in[j]+recurrent[j]), sigmoid(in[len(h)+j]+recurrent[len(h)+j])
		n := math.Tanh(in[2*len(h)+j] + r*recurrent[2*len(h)+j])
		next[j] = (1-z)*n + z*h[j]
	}
	return next
}

// affine is W x + b of one row; b may be nil.
func affine(x, w, b []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	for o := range y {
		if b != nil {
			y[o] = b[o]
		}
		for i := range x {
			y[o] += w[o*len(x)+i] * x[i]
		}
	}
	return y
}

// TestLAMAPadding: with each pooling, longer padding of other tokens changes no
// score.
func TestLAMAPadding(t *testing.T) {
	for _, kind := range attention.Pools() {
		t.Run(kind.Name, func(t *testing.T) {
			store := nn.NewStore(tensor.Float64)
			cfg := tinyLAMA(func(c *lama.Config) { c.Pooling.Of = kind.New() })
			score := func(tokens []int) []float64 {
				tape, out := lamaGraph(cfg, store, nil, tokens, textLengths)
				plan, err := tape.Plan(true, out)
				if err != nil {
					t.Fatal(err)
				}
				plan.Bind(&op.Arena{})
				if err := tape.Run(G.NewTapeMachine(tape.Graph)); err != nil {
					t.Fatal(err)
				}
				return slices.Clone(out.Value().(*tensor.Dense).Float64s())
			}
			want := score(textTokens)
			longer := score(append(append(slices.Clone(textTokens[:4]), 2, 2, 3), append(slices.Clone(textTokens[4:6]), 1, 1, 2, 3, 0)...))
			for i := range want {
				if math.Abs(want[i]-longer[i]) > 1e-12 {
					t.Errorf("score %d is %.17g, with more padding %.17g", i, want[i], longer[i])
				}
			}
		})
	}
}

// TestLAMAConfig: what no network can have is refused, naming the key.
func TestLAMAConfig(t *testing.T) {
	for toml, want := range map[string]string{
		"":                          "",
		"classifier_hidden = 512":   "",
		"embed_dim = 0":             "embed_dim = 0 is too small; want at least 1",
		"hidden = 0":                "hidden = 0 is too small; want at least 1",
		"classifier_hidden = -1":    "classifier_hidden = -1 is too small; want at least 0",
		"dropout = 1.0":             "dropout = 1",
		"[pooling]\nkind = \"max\"": `kind = "max" is unknown`,
	} {
		t.Run(toml, func(t *testing.T) {
			cfg := lama.Default()
			err := configs.Decode("test.toml", []byte(toml), &cfg, configs.Options{Lists: configs.With(configs.Lists{}, attention.Pools()...)})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// TestDropoutOfPooled: with embeddings of zeros, so that nothing before the pooled states is random, dropout of these still makes each
// step its own, and leaves half of them, twice as large: the mean of many steps is what the network says without.
func TestDropoutOfPooled(t *testing.T) {
	cfg := tinyLAMA(func(c *lama.Config) { c.Dropout = 0.5 })
	store := nn.NewStore(tensor.Float64)
	net := model.Labels{Body: lama.Body{Config: cfg}, Text: textSizes, Classes: textClasses}
	session, err := model.NewSession(net, store, model.Options{Seed: 1, Sink: nn.NewGradients(store)})
	if err != nil {
		t.Fatal(err)
	}
	run := func(mode model.Mode, step int) float64 {
		t.Helper()
		p, err := session.Program(mode, model.Shape{Rows: len(textLengths), Length: len(textTokens) / len(textLengths)})
		if err != nil {
			t.Fatal(err)
		}
		clear(store.Get("model.embed_tokens.weight").Float64s())
		p.Feed(map[string][]int{"tokens": textTokens, "lengths": textLengths, "targets": {0, 2}})
		p.SetStep(step)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Loss()
	}
	quiet := run(model.Score, 0)
	sum, different := 0.0, map[float64]bool{}
	const steps = 400
	for step := range steps {
		loss := run(model.Train, step)
		sum += loss / steps
		different[loss] = true
	}
	if len(different) < steps/2 {
		t.Errorf("%d steps have %d losses; want nearly each its own, by dropout of the pooled states", steps, len(different))
	}
	if math.Abs(sum-quiet) > 0.05*quiet {
		t.Errorf("the mean loss is %g, and %g without dropout", sum, quiet)
	}
}
