package masked

import (
	"slices"
	"testing"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/internal/rng"
	"sparrow/model"
)

// TestMasking: 15% of the tokens between [CLS] and [SEP] are to be predicted, no place twice, and of those about 80% are
// hidden, 10% replaced and 10% as they were; the rest is untouched, and equal draws mask equally.
func TestMasking(t *testing.T) {
	const batch, seqLen, vocab, rounds = 4, 40, 1000, 200
	special := tokenizers.SpecialIDs{Start: 1, Separator: 2, Mask: 3}
	m := newMasking(batch, seqLen, vocab, special)
	text := func() []int {
		tokens := make([]int, batch*seqLen)
		for i := range tokens {
			tokens[i] = 100 + i
		}
		return tokens
	}
	lengths := []int{seqLen, 20, 3, 2}
	var hidden, kept, total int
	for round := range rounds {
		m.reset(text())
		for row, n := range lengths {
			m.hide(row, n, rng.New(7, "test", uint64(round*batch+row)<<32))
		}
		want := model.MaskedTokens(seqLen) + model.MaskedTokens(20) + 1
		if m.count != want || !slices.Equal(m.Lengths, lengths) {
			t.Fatalf("%d tokens to predict in rows of %v, want %d in rows of %v", m.count, m.Lengths, want, lengths)
		}
		seen := map[int]bool{}
		for i, target := range m.Targets {
			at := m.Rows[i]
			if target == data.IgnoredTarget {
				continue
			}
			row, column := at/seqLen, at%seqLen
			if target != 100+at || seen[at] || column == 0 || column >= lengths[row]-1 || i/model.MaskedTokens(seqLen) != row {
				t.Fatalf("slot %d: predicts %d at row %d, column %d; want once each token between the special ones", i, target, row, column)
			}
			seen[at] = true
			switch m.Tokens[at] {
			case special.Mask:
				hidden++
			case target:
				kept++
			}
			total++
		}
		for at, token := range m.Tokens {
			row, column := at/seqLen, at%seqLen
			n := lengths[row]
			want := 100 + at
			switch {
			case n < 3 || column >= n || seen[at]:
				continue
			case column == 0:
				want = special.Start
			case column == n-1:
				want = special.Separator
			}
			if token != want {
				t.Fatalf("row %d, column %d: token %d, want %d", row, column, token, want)
			}
		}
	}
	share := func(n int) float64 { return float64(n) / float64(total) }
	if h, k := share(hidden), share(kept); h < 0.77 || h > 0.83 || k < 0.08 || k > 0.12 {
		t.Errorf("%.3f of the tokens are hidden and %.3f kept, want about 0.8 and 0.1", h, k)
	}
	a, b := newMasking(1, seqLen, vocab, special), newMasking(1, seqLen, vocab, special)
	for _, m := range []*masking{a, b} {
		m.reset(text()[:seqLen])
		m.hide(0, seqLen, rng.New(7, "test", 5<<32))
	}
	if !slices.Equal(a.Tokens, b.Tokens) || !slices.Equal(a.Rows, b.Rows) {
		t.Error("equal draws masked differently")
	}
}
