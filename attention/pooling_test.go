package attention_test

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// Documents of the pooling tests.
const (
	documents, words, stateWidth = 3, 4, 5
)

var wordCounts = []int{4, 1, 3}

// lamaOf is LAMA with three heads and an edit.
func lamaOf(edit func(*attention.LAMA)) attention.LAMA {
	k := attention.DefaultLAMA()
	k.Heads = 3
	if edit != nil {
		edit(&k)
	}
	return k
}

var poolingCases = map[string]attention.Pool{
	"lama":           lamaOf(nil),
	"lama, rank 2":   lamaOf(func(c *attention.LAMA) { c.Rank = 2 }),
	"lama, one head": lamaOf(func(c *attention.LAMA) { c.Heads, c.L2Norm = 1, false }),
	"lama+ctx":       lamaOf(func(c *attention.LAMA) { c.Context = "annotations" }),
	"lama+ctx of states, rank 4": lamaOf(func(c *attention.LAMA) {
		c.Context, c.Rank = "states", 4
	}),
	"lama, no norm":    lamaOf(func(c *attention.LAMA) { c.L2Norm = false }),
	"lama, identity":   lamaOf(func(c *attention.LAMA) { c.Activation = "identity" }),
	"lama, bilinear":   lamaOf(func(c *attention.LAMA) { c.Activation, c.L2Norm = "identity", false }),
	"lama, sharp":      lamaOf(func(c *attention.LAMA) { c.Temperature = 0.2 }),
	"single":           attention.SingleHead{Temperature: 1},
	"structured":       attention.Structured{Heads: 3, Width: 2, Temperature: 1},
	"structured, cool": attention.Structured{Heads: 3, Width: 2, Temperature: 0.5},
	"mean":             attention.Mean{},
}

// TestPooling: equations 1.1 to 1.8 of LAMA and those of the other poolings, word
// by word, and gradients of everything that they depend on.
func TestPooling(t *testing.T) {
	for name, cfg := range poolingCases {
		t.Run(name, func(t *testing.T) {
			nntest.Check(t, nntest.Layer{
				Build: func(b *nn.Builder) *G.Node {
					states := nntest.Input(b, "h", documents*words, stateWidth)
					pooling := cfg.New(b, stateWidth)
					out := pooling.Forward(states, documentsOf(b.Tape))
					if got := out.Shape(); !got.Eq(tensor.Shape{documents, pooling.Width()}) {
						t.Fatalf("output has shape %v, want [%d, %d]", got, documents, pooling.Width())
					}
					return out
				},
				Naive: func(v map[string][]float64) []float64 { return naivePooling(cfg, v) },
			})
		})
	}
}

func documentsOf(tape *op.Tape) nn.SeqInfo {
	lengths := tape.Input("lengths", tensor.New(tensor.WithBacking(append([]int(nil), wordCounts...)), tensor.WithShape(documents)))
	return nn.SeqInfo{Batch: documents, SeqLen: words, Lengths: lengths}
}

// naivePooling is S of each document, from the equations.
func naivePooling(cfg attention.Pool, v map[string][]float64) []float64 {
	const d = stateWidth
	var out []float64
	for doc, n := range wordCounts {
		h := v["h"][doc*words*d:][:n*d]
		var u []float64
		if w := v["annotation.weight"]; w != nil { // 1.1
			for _, x := range project(h, w, v["annotation.bias"], d) {
				u = append(u, math.Tanh(x))
			}
		}
		heads, temperature, scores := 0, 1.0, []float64(nil) // scores [n, heads]
		switch cfg := cfg.(type) {
		case attention.LAMA:
			heads, temperature = cfg.Heads, cfg.Temperature
			c := v["context"]
			if cfg.Context != "learned" {
				c = average(map[string][]float64{"annotations": u, "states": h}[cfg.Context], d)
			}
			scores = naiveLAMA(cfg, v, c, u)
		case attention.SingleHead:
			heads, scores = 1, project(u, v["context.weight"], nil, d)
		case attention.Structured:
			heads, temperature = cfg.Heads, cfg.Temperature
			inner := project(h, v["w1.weight"], nil, d)
			for i, x := range inner {
				inner[i] = math.Tanh(x)
			}
			scores = project(inner, v["w2.weight"], nil, cfg.Width)
		case attention.Mean:
			out = append(out, average(h, d)...)
			continue
		}
		for j := range heads { // 1.7 and 1.8
			var sum float64
			s := make([]float64, d)
			for t := range n {
				sum += math.Exp(scores[t*heads+j] / temperature)
			}
			for t := range n {
				for i := range d {
					s[i] += math.Exp(scores[t*heads+j]/temperature) / sum * h[t*d+i]
				}
			}
			out = append(out, s...)
		}
	}
	return out
}

// naiveLAMA is f of each word, by the bilinear forms W_j = P_j Q_jᵀ themselves
// (equations 1.2 to 1.6).
func naiveLAMA(cfg attention.LAMA, v map[string][]float64, c, u []float64) []float64 {
	const d = stateWidth
	var scores []float64
	for t := range len(u) / d {
		f := make([]float64, cfg.Heads)
		var squares float64
		for j := range f {
			for a := range d {
				for b := range d {
					var w float64 // of W_j
					for r := j * cfg.Rank; r < (j+1)*cfg.Rank; r++ {
						w += v["context_proj.weight"][r*d+a] * v["word_proj.weight"][r*d+b]
					}
					f[j] += c[a] * w * u[t*d+b]
				}
			}
			if cfg.Activation == "tanh" {
				f[j] = math.Tanh(f[j])
			}
			squares += f[j] * f[j]
		}
		for _, x := range f {
			if cfg.L2Norm {
				x /= max(math.Sqrt(squares), op.NormFloor)
			}
			scores = append(scores, x)
		}
	}
	return scores
}

// average is the mean of rows of width d.
func average(x []float64, d int) []float64 {
	y := make([]float64, d)
	for i, v := range x {
		y[i%d] += v / float64(len(x)/d)
	}
	return y
}

// poolingRun is a pooling's output and weights on a batch without gradients.
func poolingRun(t *testing.T, cfg attention.Pool, width, batch, seqLen int, states []float64, lengths []int, prepare func(*nn.Store)) (out, weights []float64) {
	t.Helper()
	store := nn.NewStore(tensor.Float64)
	tape := op.NewTape(tensor.Float64, false)
	b := nn.NewBuilder(tape, store, nn.Options{Seed: 5, Tapped: func(name string) bool { return name == "pooling.weights" }})
	x := tape.Input("h", tensor.New(tensor.WithBacking(states), tensor.WithShape(batch*seqLen, width)))
	l := tape.Input("lengths", tensor.New(tensor.WithBacking(lengths), tensor.WithShape(batch)))
	y := cfg.New(b.Sub("pooling"), width).Forward(x, nn.SeqInfo{Batch: batch, SeqLen: seqLen, Lengths: l})
	if prepare != nil {
		prepare(store)
	}
	kept := []*G.Node{y}
	a := b.Taps()["pooling.weights"]
	if a != nil {
		kept = append(kept, a)
	}
	plan, err := tape.Plan(true, kept...)
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(&op.Arena{})
	if err := tape.Run(G.NewTapeMachine(tape.Graph)); err != nil {
		t.Fatal(err)
	}
	if a != nil {
		weights = append(weights, a.Value().(*tensor.Dense).Float64s()...)
	}
	return append(out, y.Value().(*tensor.Dense).Float64s()...), weights
}

// TestPoolingWeights: each head's weights of a document's words are positive and
// sum to one, and words that do not count weigh nothing.
func TestPoolingWeights(t *testing.T) {
	for name, cfg := range poolingCases {
		if _, ok := cfg.(attention.Mean); ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			_, a := poolingRun(t, cfg, stateWidth, documents, words, waves(documents*words*stateWidth), append([]int(nil), wordCounts...), nil)
			heads := len(a) / (documents * words)
			for doc, n := range wordCounts {
				for j := range heads {
					var sum float64
					for i := range words {
						w := a[(doc*words+i)*heads+j]
						if i < n && !(w > 0) || i >= n && w != 0 {
							t.Errorf("document %d of %d words, head %d: word %d weighs %g", doc, n, j, i, w)
						}
						sum += w
					}
					if math.Abs(sum-1) > 1e-14 {
						t.Errorf("document %d, head %d: weights sum to %.17g", doc, j, sum)
					}
				}
			}
		})
	}
}

// waves are n numbers between -1 and 1.
func waves(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = math.Sin(float64(i*i) + 0.5)
	}
	return x
}

// TestBoundedLogits: the norm over heads keeps every logit in [-1, 1], so no
// weight of LAMA exceeds e²/(e² + T - 1) and no two differ by more than e²,
// whatever the parameters; without the norm, or at a low temperature, they may.
func TestBoundedLogits(t *testing.T) {
	const tokens, width, ratio = 40, 6, math.E * math.E
	huge := func(s *nn.Store) {
		for _, name := range s.Names() {
			for i, x := 0, s.Get(name).Float64s(); i < len(x); i++ {
				x[i] *= 1000
			}
		}
	}
	spread := func(edit func(*attention.LAMA)) (top, worst float64) {
		cfg := lamaOf(edit)
		_, a := poolingRun(t, cfg, width, 1, tokens, waves(tokens*width), []int{tokens}, huge)
		for j := range cfg.Heads {
			low := math.Inf(1)
			var high float64
			for i := j; i < len(a); i += cfg.Heads {
				low, high = min(low, a[i]), max(high, a[i])
			}
			top, worst = max(top, high), max(worst, high/low)
		}
		return top, worst
	}
	const limit = ratio / (ratio + tokens - 1) // 0.159
	for _, heads := range []int{1, 3, 10} {
		for _, activation := range []string{"tanh", "identity"} {
			top, worst := spread(func(c *attention.LAMA) { c.Heads, c.Activation = heads, activation })
			if top > limit+1e-12 || worst > ratio+1e-9 {
				t.Errorf("%d heads, %s: largest weight %.4f, want at most %.4f; ratio %.3f, want at most %.3f", heads, activation, top, limit, worst, ratio)
			}
		}
	}
	if top, _ := spread(func(c *attention.LAMA) { c.L2Norm, c.Activation = false, "identity" }); top < 0.9 {
		t.Errorf("without norm and tanh the largest weight is %.4f, want it sharp", top)
	}
	if _, worst := spread(func(c *attention.LAMA) { c.Temperature = 0.1 }); worst <= ratio {
		t.Errorf("at temperature 0.1 two weights differ by a factor of %.3f, want more than %.3f", worst, ratio)
	}
}

// TestPoolingPadding: longer padding and other states in it change nothing.
func TestPoolingPadding(t *testing.T) {
	for name, cfg := range poolingCases {
		t.Run(name, func(t *testing.T) {
			at := func(seqLen int, garbage float64) []float64 {
				states := make([]float64, documents*seqLen*stateWidth)
				for i := range states {
					states[i] = garbage
				}
				from := waves(documents * words * stateWidth)
				for doc, n := range wordCounts {
					copy(states[doc*seqLen*stateWidth:], from[doc*words*stateWidth:][:n*stateWidth])
				}
				out, _ := poolingRun(t, cfg, stateWidth, documents, seqLen, states, append([]int(nil), wordCounts...), nil)
				return out
			}
			want := at(words, 0)
			for i, x := range at(words+7, 1e3) {
				if math.Abs(x-want[i]) > 1e-12 {
					t.Fatalf("value %d is %.17g, with more padding %.17g", i, want[i], x)
				}
			}
		})
	}
}

// TestPoolingParameters: the counts of the documentation.
func TestPoolingParameters(t *testing.T) {
	const d, m, r, a = 20, 5, 2, 8
	lama := attention.DefaultLAMA()
	lama.Heads, lama.Rank = m, r
	own := lama
	own.Context = "annotations"
	for kind, c := range map[string]struct {
		pool attention.Pool
		want int
	}{
		"lama": {lama, 2*d*m*r + d*d + d + d}, "lama+ctx": {own, 2*d*m*r + d*d + d}, "single": {attention.SingleHead{}, d + d*d + d},
		"structured": {attention.Structured{Heads: m, Width: a}, a*d + m*a}, "mean": {attention.Mean{}, 0},
	} {
		t.Run(kind, func(t *testing.T) {
			store := nn.NewStore(tensor.Float64)
			c.pool.New(nn.NewBuilder(op.NewTape(tensor.Float64, true), store, nn.Options{Seed: 1}), d)
			got := 0
			for _, name := range store.Names() {
				got += store.Shape(name).TotalSize()
			}
			if got != c.want {
				t.Errorf("%d parameters %v, want %d", got, store.Names(), c.want)
			}
		})
	}
}

// TestLAMAParametersBeside: with its annotation and context, LAMA has fewer parameters than a layer of multi-head
// self-attention of as many heads, 4 D² + 4 D, and than one full bilinear form a head, M D².
func TestLAMAParametersBeside(t *testing.T) {
	count := func(build func(b *nn.Builder)) int {
		store := nn.NewStore(tensor.Float64)
		build(nn.NewBuilder(op.NewTape(tensor.Float64, true), store, nn.Options{Seed: 1}))
		return store.Parameters()
	}
	for _, c := range []struct{ d, m int }{{20, 2}, {100, 5}, {100, 10}, {100, 20}, {128, 8}, {256, 32}} {
		lama := count(func(b *nn.Builder) {
			lamaOf(func(p *attention.LAMA) { p.Heads = c.m }).New(b, c.d)
		})
		self := count(func(b *nn.Builder) {
			layer := attention.Of(attention.MHA{Projections: attention.Projections{Bias: true}}, attention.Heads{NHead: c.m})
			attention.New(b, attention.LayerConfig{Config: layer, DModel: c.d, Init: nn.Normal(1), OutInit: nn.Normal(1)})
		})
		if c.d%c.m == 0 && self != 4*c.d*c.d+4*c.d {
			t.Errorf("D = %d, M = %d: self-attention has %d parameters, want 4 D² + 4 D = %d", c.d, c.m, self, 4*c.d*c.d+4*c.d)
		}
		if lama >= self || lama >= c.m*c.d*c.d {
			t.Errorf("D = %d, M = %d: LAMA has %d parameters, self-attention %d, full bilinear forms %d; want fewer", c.d, c.m, lama, self, c.m*c.d*c.d)
		}
	}
}

// TestLAMAInit: the two rules for P and Q.
func TestLAMAInit(t *testing.T) {
	const d, m, r = 400, 8, 2
	for init, bound := range map[string]float64{"width": 1.0 / 20, "heads": 1.0 / 4} {
		store := nn.NewStore(tensor.Float64)
		cfg := lamaOf(func(c *attention.LAMA) { c.Heads, c.Rank, c.Init = m, r, init })
		cfg.New(nn.NewBuilder(op.NewTape(tensor.Float64, true), store, nn.Options{Seed: 1}), d)
		for _, name := range []string{"context_proj.weight", "word_proj.weight"} {
			var top float64
			for _, x := range store.Get(name).Float64s() {
				top = max(top, math.Abs(x))
			}
			if top > bound || top < 0.99*bound {
				t.Errorf("init = %q: %s starts with values up to %g, want nearly %g", init, name, top, bound)
			}
		}
	}
}

// TestLAMAContextStarts: a learned context starts with a deviation of 0.1, by many values of it.
func TestLAMAContextStarts(t *testing.T) {
	const width = 512
	store := nn.NewStore(tensor.Float64)
	b := nn.NewBuilder(op.NewTape(tensor.Float64, false), store, nn.Options{Seed: 1})
	attention.DefaultLAMA().New(b, width)
	sum := 0.0
	for _, x := range store.Get("context").Float64s() {
		sum += x * x / width
	}
	if got := math.Sqrt(sum); math.Abs(got-0.1) > 0.015 {
		t.Errorf("the context starts with a deviation of %g, want 0.1", got)
	}
}
