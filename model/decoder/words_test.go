package decoder

import (
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
)

// TestWordsOfLowRank: a decoder whose words are in factors decodes as it scores, and folded into a table it has the same
// scores, with a head of its own (mha) and one that is tied to the words (gpt2).
func TestWordsOfLowRank(t *testing.T) {
	const tol = 2e-5 // float32 rounding of the product
	for _, variant := range []string{"mha", "gpt2"} {
		t.Run(variant, func(t *testing.T) {
			o := tapLogits
			o.Words = nn.LowRank{Rank: 5}
			s := small(t, tensor.Float32, variant, o)
			text := tokensOf(37, "words")
			want := logitsOf(t, s, text)
			merged, err := again(s, s.Store().Dense(), tapLogits)
			if err != nil {
				t.Fatal(err)
			}
			if d := distance(logitsOf(t, merged, text), want); d > tol {
				t.Errorf("merged scores differ by %g of the largest, want at most %g", d, tol)
			}
			checkScores(t, s, [][]int{text[:9], text[3:5]}, s)
		})
	}
}
