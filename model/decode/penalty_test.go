package decode

import (
	"context"
	"slices"
	"testing"

	"sparrow/model"
)

// TestRepetitionPenalty: the scores of what prompt and text hold are divided or multiplied, once a token, at every place.
func TestRepetitionPenalty(t *testing.T) {
	const penalty = 1.7
	write := func(r Request) []int {
		var out []int
		err := Generate(context.Background(), session(t, variants[0], 1, 64), [][]int{prompt(9, "p")}, r, func(_, token int) error {
			out = append(out, token)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	plain := write(Request{Tokens: 20})
	got := write(Request{Tokens: 20, Sampler: model.Sampler{RepetitionPenalty: penalty}})
	want := write(Request{Tokens: 20, Allow: func(written []int, scores []float32) {
		for id := range scores {
			if !slices.Contains(written, id) && !slices.Contains(prompt(9, "p"), id) {
				continue
			}
			if scores[id] > 0 {
				scores[id] /= penalty
			} else {
				scores[id] *= penalty
			}
		}
	}})
	if !slices.Equal(got, want) || slices.Equal(got, plain) {
		t.Errorf("penalized %v, want %v; not penalized %v", got, want, plain)
	}
}

// TestDone: a sequence whose receiver has enough ends, and those beside it go on.
func TestDone(t *testing.T) {
	prompts := [][]int{prompt(5, "a"), prompt(8, "b"), prompt(3, "c")}
	write := func(enough func(seq, n int) bool) [3][]int {
		var out [3][]int
		err := Generate(context.Background(), session(t, variants[0], 1, 64), prompts, Request{Tokens: 6}, func(seq, token int) error {
			out[seq] = append(out[seq], token)
			if enough(seq, len(out[seq])) {
				return ErrDone
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	whole := write(func(int, int) bool { return false })
	got := write(func(seq, n int) bool { return seq == 1 && n == 2 || seq == 2 && n == 6 })
	if !slices.Equal(got[0], whole[0]) || !slices.Equal(got[1], whole[1][:2]) || !slices.Equal(got[2], whole[2]) {
		t.Errorf("%v, want the beginnings of %v", got, whole)
	}
}
