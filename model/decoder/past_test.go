package decoder

import (
	"context"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
)

// TestDecodeAfter: a step computes the same each time, from what stands in the cache, and generation after it is as ever.
func TestDecodeAfter(t *testing.T) {
	for variant := range variants {
		t.Run(variant, func(t *testing.T) {
			s := small(t, tensor.Float64, variant, model.Options{})
			generate := func() (tokens []int) {
				t.Helper()
				err := generate(context.Background(), s, [][]int{{1, 2, 3}}, GenerateOptions{Tokens: 4}, func(_, token int) error {
					tokens = append(tokens, token)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				return tokens
			}
			before := generate()
			const past, batch = 150, 3
			scores := func(p *model.Program) []float64 {
				t.Helper()
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				return p.Output("logits").Float64s()
			}
			step, err := s.DecodeAfter(batch, past)
			if err != nil {
				t.Fatal(err)
			}
			first, again := scores(step), scores(step)
			for i, x := range first {
				if x != again[i] || math.IsNaN(x) {
					t.Fatalf("score %d is %v, then %v", i, x, again[i])
				}
			}
			// What stands in the cache matters: with another past the scores are others.
			if step, err = s.DecodeAfter(batch, past-1); err != nil {
				t.Fatal(err)
			}
			if other := scores(step); other[0] == first[0] {
				t.Errorf("after %d and after %d tokens the score is %v", past, past-1, other[0])
			}
			if after := generate(); !slices.Equal(after, before) {
				t.Errorf("then %v is generated, before it was %v", after, before)
			}
		})
	}
}

func TestDecodeAfterRefuses(t *testing.T) {
	s := small(t, tensor.Float32, "gpt2", model.Options{})
	for _, c := range [][2]int{{0, 3}, {1, -1}, {1, 300}} { // learned positions end at 300
		if _, err := s.DecodeAfter(c[0], c[1]); err == nil {
			t.Errorf("DecodeAfter(%d, %d): no error", c[0], c[1])
		}
	}
}

// TestSizes: what cost counts of a network is what its store and its cache hold.
func TestSizes(t *testing.T) {
	for variant := range variants {
		s := small(t, tensor.Float32, variant, model.Options{})
		cfg, _ := configOf(s)
		sizes := cfg.Sizes(vocab)
		matrices := 0
		for _, name := range s.Store().Names() {
			if shape := s.Store().Get(name).Shape(); len(shape) > 1 && name != "model.embed_positions.weight" {
				matrices += shape.TotalSize()
			}
		}
		if got := sizes.Parameters().Total; got != float64(matrices) {
			t.Errorf("%s: %v parameters, the store has %d", variant, got, matrices)
		}
		perToken, err := s.CacheBytesPerToken()
		if err != nil || perToken != cfg.AttentionCost(false).CacheBytesTotal {
			t.Errorf("%s: %d bytes a token and %v, its attention has %d", variant, perToken, err, cfg.AttentionCost(false).CacheBytesTotal)
		}
		if got, want := sizes.Work(7).KVBytes, float64(7*perToken/4); got != want {
			t.Errorf("%s: %v cached values, want %v", variant, got, want)
		}
	}
}
