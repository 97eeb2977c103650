package encoder_test

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
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
