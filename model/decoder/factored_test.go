package decoder

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/nn"
)

// TestFactoredMerges: folded into dense layers, networks of factored layers have the same scores to rounding, with
// biases (gpt2), a learned scale and in both modes.
func TestFactoredMerges(t *testing.T) {
	const tol = 2e-5 // float32 rounding of W, through two blocks
	for name, l := range map[string]nn.Rule{
		"low_rank":      {OneOf: nn.As(nn.LowRank{Rank: 3})},
		"materialized":  {OneOf: nn.As(nn.SLTrain{Rank: 3, Alpha: 6, Density: 0.2, Mode: "materialized"})},
		"factored":      {OneOf: nn.As(nn.SLTrain{Rank: 3, Alpha: 6, Density: 0.2, Mode: "factored"})},
		"dense-sparse":  {OneOf: nn.As(nn.DenseSparse{Block: 4, Atoms: 8, Nonzeros: []int{2}, Shared: true})},
		"cut outputs":   {OneOf: nn.As(nn.DenseSparse{Block: 4, Atoms: 8, Nonzeros: []int{2}, Axis: "out"})},
		"learned scale": {OneOf: nn.As(nn.SLTrain{Rank: 3, Density: 0.2, TrainScale: true})},
	} {
		for _, variant := range []string{"mha", "gpt2"} {
			t.Run(name+"/"+variant, func(t *testing.T) {
				base := small(t, tensor.Float32, variant, tapLogits)
				cfg, dims := configOf(base)
				l.Match = "model.layers.*"
				o := tapLogits
				o.Linear = []nn.Rule{l}
				s, err := open(cfg, dims, nn.NewStore(tensor.Float32), o)
				if err != nil {
					t.Fatal(err)
				}
				text := tokensOf(37, "merge")
				before := logitsOf(t, s, text)
				for _, name := range s.Store().Names() { // as after training: nothing is at its first value
					w := s.Store().Get(name).Float32s()
					step := make([]float32, len(w))
					rng.FillNormal(rng.New(2, name, 0), step, 0, 0.1)
					for i := range w {
						w[i] += step[i]
					}
				}
				want := logitsOf(t, s, text)
				if d := distance(want, before); d < 0.01 {
					t.Fatalf("the scores have moved by %g only: the test shows nothing", d)
				}
				dense := s.Store().Dense()
				if slices.ContainsFunc(dense.Names(), func(n string) bool { return dense.Get(n) == nil }) || len(dense.IndexNames()) != 0 {
					t.Errorf("the merged store has holes or indices: %v %v", dense.Names(), dense.IndexNames())
				}
				merged, err := again(base, dense, tapLogits)
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
