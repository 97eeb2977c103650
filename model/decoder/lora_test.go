package decoder

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
)

// adapted is a network with lora layers on the weights of a dense one.
func adapted(t *testing.T, dense *model.Session, base string) *model.Session {
	t.Helper()
	cfg, dims := configOf(dense)
	o := tapLogits
	o.Linear = []nn.Rule{{Match: "*", OneOf: nn.As(nn.LoRA{Rank: 3, Alpha: 6, Keep: base})}}
	store := nn.NewStore(dense.Store().Dtype)
	s, err := open(cfg, dims, store, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		if from := dense.Store().Get(name); from != nil {
			if err := tensor.Copy(store.Get(name), from); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range store.BaseNames() {
		if err := store.Base(name).Set(dense.Store().Get(name).Float32s()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func logitsOf(t *testing.T, s *model.Session, text []int) []float64 {
	t.Helper()
	p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(text)})
	if err != nil {
		t.Fatal(err)
	}
	p.Feed(map[string][]int{"tokens": text})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	return p.Output("logits").Float64s()
}

// distance is the largest difference over the largest value.
func distance(a, b []float64) float64 {
	var diff, top float64
	for i := range a {
		diff, top = max(diff, math.Abs(a[i]-b[i])), max(top, math.Abs(b[i]))
	}
	return diff / top
}

// TestLoRAStartsAtTheBase: with B = 0 the scores are the dense network's, bit for
// bit, and on an 8-bit base nearly.
func TestLoRAStartsAtTheBase(t *testing.T) {
	// Each of the 14 layers moves its outputs by well under 1/254 of their scale.
	const int8Tol = 0.05
	for _, variant := range []string{"mha", "gqa", "gpt2"} {
		t.Run(variant, func(t *testing.T) {
			dense := small(t, tensor.Float32, variant, tapLogits)
			text := tokensOf(37, "lora")
			want := logitsOf(t, dense, text)
			if got := logitsOf(t, adapted(t, dense, "float32"), text); !slices.Equal(got, want) {
				t.Errorf("scores differ from the dense network's by %g of the largest, want equal bits", distance(got, want))
			}
			if d := distance(logitsOf(t, adapted(t, dense, "int8"), text), want); d > int8Tol || d == 0 {
				t.Errorf("on an 8-bit base scores differ by %g of the largest, want more than 0 and at most %g", d, int8Tol)
			}
		})
	}
}

// TestLoRAMerged: folded into dense layers, a network with factors far from zero
// has the same scores to rounding.
func TestLoRAMerged(t *testing.T) {
	const tol = 2e-5 // float32 rounding of W, through two blocks
	for _, base := range []string{"float32", "int8"} {
		for _, variant := range []string{"mha", "gpt2"} {
			t.Run(fmt.Sprint(variant, " on ", base), func(t *testing.T) {
				dense := small(t, tensor.Float32, variant, tapLogits)
				s := adapted(t, dense, base)
				text := tokensOf(37, "lora")
				before := logitsOf(t, s, text)
				for _, name := range s.Store().Layers() {
					up := s.Store().Get(name + ".up.weight").Float32s()
					rng.FillNormal(rng.New(2, name, 0), up, 0, 0.1)
				}
				want := logitsOf(t, s, text)
				if d := distance(want, before); d < 0.01 {
					t.Fatalf("the factors move the scores by %g only: the test shows nothing", d)
				}
				merged, err := again(dense, s.Store().Dense(), tapLogits)
				if err != nil {
					t.Fatal(err)
				}
				if d := distance(logitsOf(t, merged, text), want); d > tol {
					t.Errorf("merged scores differ by %g of the largest, want at most %g", d, tol)
				}
			})
		}
	}
}

// TestLoRADecodes: with a cache, scores are those of a forward pass over the whole
// text, as for every other network.
func TestLoRADecodes(t *testing.T) {
	for _, base := range []string{"float32", "int8"} {
		for _, variant := range []string{"mha", "gpt2"} {
			t.Run(fmt.Sprint(variant, " on ", base), func(t *testing.T) {
				s := adapted(t, small(t, tensor.Float32, variant, tapLogits), base)
				for _, name := range s.Store().Layers() {
					rng.FillNormal(rng.New(2, name, 0), s.Store().Get(name+".up.weight").Float32s(), 0, 0.1)
				}
				checkScores(t, s, [][]int{tokensOf(5, "a"), tokensOf(140, "b"), tokensOf(1, "c")}, s)
			})
		}
	}
}
