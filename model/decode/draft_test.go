package decode

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"sparrow/model"
)

// guesses is a draft of up to n tokens that are those of want, but for every wrong-th place, counted from the start.
func guesses(want []int, n, wrong int) func(written []int) []int {
	return func(written []int) []int {
		draft := slices.Clone(want[len(written):min(len(want), len(written)+n)])
		for i := range draft {
			if wrong > 0 && (len(written)+i)%wrong == wrong-1 {
				draft[i] = (draft[i] + 1) % vocab
			}
		}
		return draft
	}
}

// TestDraft: with several places of a slot in a step, whatever is guessed, the tokens and the scores of each are those of one
// at a time, to the last bit, alone and beside others; right guesses save steps.
func TestDraft(t *testing.T) {
	const tokens = 40
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			for _, temperature := range []float64{0, 1} {
				r := Request{Prompt: prompt(37, "a"), Tokens: tokens, Sampler: model.Sampler{Temperature: temperature, Seed: 3, RepetitionPenalty: 1.1}}
				want := alone(t, v, r, 16)
				for _, c := range []struct{ n, wrong, others, most int }{
					{1, 0, 0, tokens / 2}, {3, 0, 2, tokens / 4}, {7, 5, 3, 2 * tokens / 5}, {tokens + 9, 0, 0, 2}, {tokens, 9, 2, tokens / 4}, {4, 1, 1, tokens},
				} {
					b := mustNew(t, session(t, v, 4, 400), Options{Chunk: 16})
					for i := range c.others {
						other := Request{Prompt: prompt(5+i, "other"), Tokens: 300, Choice: i}
						if i > 0 { // which guesses too
							other.Draft = func(written []int) []int { return written[max(0, len(written)-2):] }
						}
						mustAdmit(t, b, other)
					}
					for range c.others {
						step(t, b, map[int]*trace{0: {}, 1: {}, 2: {}})
					}
					r.Draft = guesses(want.tokens, c.n, c.wrong)
					got := &trace{}
					slot := mustAdmit(t, b, got.record(r))
					steps, done := 0, false
					for !done {
						out, err := b.Step(context.Background())
						if err != nil {
							t.Fatal(err)
						}
						of := 0
						for _, x := range out {
							if x.Slot == slot {
								got.tokens, done, of = append(got.tokens, x.ID), x.Finish == Length, of+1
							}
						}
						if of > 0 {
							steps++
						}
					}
					if !got.equal(want) {
						t.Errorf("temperature %g, %+v: other tokens or scores than one at a time", temperature, c)
					}
					if steps > c.most+2 {
						t.Errorf("temperature %g, %+v: %d steps, want at most %d", temperature, c, steps, c.most+2)
					}
				}
			}
		})
	}
}

// TestDraftEnds: guesses behind the end, tokens that there are not, and a caller that has had enough in the middle of guesses.
func TestDraftEnds(t *testing.T) {
	v := variants[0]
	r := Request{Prompt: prompt(9, "a"), Tokens: 12, Sampler: model.Sampler{Temperature: 1, Seed: 2}}
	want := alone(t, v, r, 16).tokens
	for name, draft := range map[string]func([]int) []int{
		"no such token": func(written []int) []int { return []int{vocab, -1} },
		"none":          func([]int) []int { return nil },
		"after a right one": func(written []int) []int {
			return append(guesses(want, 2, 0)(written), -5)
		},
		"far too many": func(written []int) []int { return append(guesses(want, 99, 0)(written), make([]int, 999)...) },
	} {
		r.Draft = draft
		if got := alone(t, v, r, 16).tokens; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	r.Draft = guesses(want, 99, 0)
	r.Stop = StopAt(want[6])
	if got := alone(t, v, r, 16).tokens; !slices.Equal(got, want[:slices.Index(want, want[6])+1]) {
		t.Errorf("stopped: %v of %v", got, want)
	}
	r.Stop = nil
	s := session(t, v, 1, 1)
	var got []int
	err := Generate(context.Background(), s, [][]int{r.Prompt, r.Prompt}, r, func(i, token int) error {
		if i == 0 {
			if got = append(got, token); len(got) == 4 {
				return ErrDone
			}
		}
		return nil
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want[:4]) {
		t.Errorf("enough after four tokens: %v, %v; want %v", got, err, want[:4])
	}
}
