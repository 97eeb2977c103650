package decoder

import (
	"slices"
	"sync"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
)

// TestSessionsShareAStore: sessions of several goroutines over one store give the bits of one alone, also while others
// are made. The race detector sees whether they write into what they share.
func TestSessionsShareAStore(t *testing.T) {
	first := small(t, tensor.Float32, "gqa", model.Options{})
	text := tokensOf(9, "shared")
	o := model.Options{Poison: true, Sites: []string{"logits"}}
	alone, err := again(first, first.Store(), o)
	if err != nil {
		t.Fatal(err)
	}
	want, err := scoresOf(alone, text)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 3 {
				s, err := again(first, first.Store(), o)
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					got, err := scoresOf(s, text)
					if err != nil || !slices.Equal(got, want) {
						t.Errorf("%v: %v, want %v", err, got, want)
					}
				}
			}
		})
	}
	all.Wait()
}

// scoresOf are the scores after a text's last token.
func scoresOf(s *model.Session, text []int) ([]float64, error) {
	p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(text)})
	if err != nil {
		return nil, err
	}
	p.Feed(map[string][]int{"tokens": text})
	if err := p.Run(); err != nil {
		return nil, err
	}
	return p.Output("logits").Float64s(), nil
}
