package encoder_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/op"
)

// TestSentences: the vector of a text is its states, weighted by the pooling's shares, whatever pads it; the pooler that is
// kept is an array which it does not depend on.
func TestSentences(t *testing.T) {
	for _, pooling := range encoder.Poolings {
		c := encoder.Default()
		c.DModel, c.NLayer, c.Context = 8, 1, 6
		c.Attention.NHead = 2
		c.Sentence = &encoder.Sentence{Pooling: pooling, Pooler: true}
		store := nn.NewStore(tensor.Float32)
		n, ok := c.Sentences(model.Text{Vocab: 10, Length: 6, Types: c.Types()})
		if !ok {
			t.Fatal("no network of sentences")
		}
		s, err := model.NewSession(n, store, model.Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if store.Get("bert.pooler.dense.weight") == nil {
			t.Fatal("the pooler is not kept")
		}
		embed := func(length int, share func(w []float32)) []float64 {
			p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: length})
			if err != nil {
				t.Fatal(err)
			}
			w := make([]float32, length)
			share(w)
			p.Feed(map[string][]int{"tokens": []int{3, 1, 4, 9, 9, 9}[:length], "lengths": {3}, "types": make([]int, length)})
			p.Floats("shares").Set(w)
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			return p.Output("embedding").Float64s()
		}
		pooled := func(w []float32) { c.Sentence.Weights(w, 3) }
		got, padded := embed(3, pooled), embed(6, pooled)
		want := make([]float64, 8)
		for i := range 3 {
			state := embed(3, func(w []float32) { w[i] = 1 })
			for j, x := range state {
				switch {
				case pooling == "mean":
					want[j] += x / 3
				case pooling == "mean_sqrt":
					want[j] += x / math.Sqrt(3)
				case i == 0:
					want[j] = x
				}
			}
		}
		for j := range want {
			if math.Abs(got[j]-want[j]) > 1e-5 || math.Abs(padded[j]-want[j]) > 1e-5 {
				t.Fatalf("%s: number %d is %v, padded %v, want %v", pooling, j, got[j], padded[j], want[j])
			}
		}
	}
}

// TestPairLoss: the loss is the squared error of the cosines of pairs, those without a mark left out, as a naive loop over the
// vectors has it; and its gradients are those of differences.
func TestPairLoss(t *testing.T) {
	c := encoder.Default()
	c.DModel, c.NLayer, c.Context, c.InitStd = 6, 1, 5, 0.5
	c.Attention.NHead = 2
	c.Sentence = &encoder.Sentence{Pooling: "mean"}
	store := nn.NewStore(tensor.Float64)
	n, _ := c.Sentences(model.Text{Vocab: 9, Length: 5, Types: c.Types()})
	grads := nn.NewGradients(store)
	s, err := model.NewSession(n, store, model.Options{Seed: 3, Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	const texts, length = 6, 5
	lengths, truth := []int{5, 3, 2, 5, 4, 1}, []float64{0.3, 1, -0.5}
	feed := func(m model.Mode) *model.Program {
		p, err := s.Program(m, model.Shape{Rows: texts, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		tokens, shares := make([]int, texts*length), make([]float32, texts*length)
		for row, n := range lengths {
			for i := range n {
				tokens[row*length+i] = (3*row + 2*i) % 9
			}
			c.Sentence.Weights(shares[row*length:(row+1)*length], n)
		}
		p.Feed(map[string][]int{"tokens": tokens, "lengths": lengths, "types": make([]int, texts*length), "targets": {0, op.Ignored, 0}})
		p.Floats("shares").Set(shares)
		for i, x := range truth {
			if p.Has("truth") {
				p.Floats("truth").Put(i, 0, x)
			}
		}
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	vectors, want := feed(model.Score).Output("embedding").Float64s(), 0.0
	for _, pair := range []int{0, 2} {
		var ab, aa, bb float64
		for j := range 6 {
			a, b := vectors[2*pair*6+j], vectors[(2*pair+1)*6+j]
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		d := ab/math.Sqrt(aa*bb) - truth[pair]
		want += d * d
	}
	if got := feed(model.Calibrate).Loss(); math.Abs(got-want) > 1e-12 {
		t.Errorf("loss %.15g, by a loop %.15g", got, want)
	}
	if got := feed(model.Score).Loss(); got != 0 {
		t.Errorf("texts that are scored have the loss %v, want none", got)
	}
	feed(model.Calibrate)
	before := map[string][]float64{}
	for _, name := range store.Names() {
		if g := grads.Get(name); g != nil {
			before[name] = slices.Clone(g.Float64s())
		}
	}
	if len(before) < 15 {
		t.Fatalf("%d parameters have gradients, want all of the encoder", len(before))
	}
	const step = 1e-5
	for name, g := range before {
		w := store.Get(name).Float64s()
		for i := 0; i < len(w); i += 1 + len(w)/7 {
			x := w[i]
			w[i] = x + step
			above := feed(model.Calibrate).Loss()
			w[i] = x - step
			below := feed(model.Calibrate).Loss()
			w[i] = x
			if d := (above - below) / (2 * step); math.Abs(g[i]-d) > 1e-7*(1+math.Abs(d)) {
				t.Errorf("gradient of %s[%d] is %.10g, by differences %.10g", name, i, g[i], d)
			}
		}
	}
}
