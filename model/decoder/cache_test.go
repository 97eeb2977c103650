package decoder

import (
	"context"
	"math"
	"os"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/nn"
)

// TestInt8CachePerplexity: on real text, the perplexity of a trained network that
// decodes from a cache in 8 bits is within 0.5% of that with one in float32, and
// not the same.
func TestInt8CachePerplexity(t *testing.T) {
	source, err := os.ReadFile("decoder.go")
	if err != nil {
		t.Fatal(err)
	}
	text := make([]int, len(source))
	for i, c := range source {
		text[i] = int(c % 128)
	}
	for _, kind := range attention.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			cfg := Default()
			cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Attention.OneOf, cfg.InitStd = 32, 2, 64, attention.As(kind.New()), 0.1
			switch kind.Name {
			case "gqa":
				cfg.Attention.NKVHead = 2
			case "mla":
				cfg.Attention.Of = attention.MLA{KVRank: 16, RopeDim: 4}
			}
			dims := model.Text{Vocab: 128, Length: 64}
			store := nn.NewStore(tensor.Float32)
			fit(t, cfg, dims, store, text)
			var losses [2]float64
			for i, int8s := range []bool{false, true} {
				s, err := open(cfg, dims, store, model.Options{Int8Cache: int8s})
				if err != nil {
					t.Fatal(err)
				}
				losses[i] = decodedLoss(t, s, text[:400])
			}
			if uniform := math.Log(128); losses[0] > 0.75*uniform {
				t.Fatalf("loss %g: the network has learnt nothing", losses[0])
			}
			ratio := math.Exp(losses[1] - losses[0])
			if !(math.Abs(ratio-1) < 0.005) || ratio == 1 {
				t.Errorf("perplexity in 8 bits is %.6f of that in float32 (%g nats)", ratio, losses[0])
			}
		})
	}
}

// fit trains the network on a text by gradient descent with normalised steps.
func fit(t *testing.T, cfg Config, dims model.Text, store *nn.Store, text []int) {
	t.Helper()
	grads := nn.NewGradients(store)
	s, err := open(cfg, dims, store, model.Options{Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	const batch, steps = 8, 150
	p, err := s.Program(model.Train, model.Shape{Rows: batch, Length: dims.Length})
	if err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		var tokens, targets []int
		for i := range batch {
			at := (step*batch + i) * 53 % (len(text) - dims.Length - 1)
			tokens, targets = append(tokens, text[at:at+dims.Length]...), append(targets, text[at+1:at+dims.Length+1]...)
		}
		p.Feed(map[string][]int{"tokens": tokens, "targets": targets})
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		for _, name := range store.Names() {
			w, g := store.Get(name).Float32s(), grads.Get(name).Float32s()
			var sum float64
			for _, x := range g {
				sum += float64(x) * float64(x)
			}
			if sum == 0 {
				continue
			}
			rate := float32(0.01 * math.Sqrt(float64(len(g))/sum) * (1 - float64(step)/steps))
			for i := range w {
				w[i] -= rate * g[i]
			}
		}
	}
}

// decodedLoss is the mean loss of a text's tokens, each predicted by decoding from
// the cache of those before it.
func decodedLoss(t *testing.T, s *model.Session, text []int) float64 {
	t.Helper()
	s = s.Decoding(1, len(text))
	past := []int{0}
	logits, err := prefill(context.Background(), s, [][]int{text[:1]}, past)
	if err != nil {
		t.Fatal(err)
	}
	p, err := decoding(s, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var loss float64
	for _, token := range text[1:] {
		var sum float64
		for _, x := range logits[0] {
			sum += math.Exp(x)
		}
		loss += math.Log(sum) - logits[0][token]
		p.Ints("tokens")[0], p.Ints("fresh")[0] = token, 1
		if err := advance(s, p, past, logits); err != nil {
			t.Fatal(err)
		}
	}
	return loss / float64(len(text)-1)
}
