package decode

import (
	"context"
	"fmt"
	"testing"

	"sparrow/model"
)

// TestDrafter: guesses by a second model change no token and no score; those of the model itself save steps, also of more
// sequences than the drafter has slots.
func TestDrafter(t *testing.T) {
	const tokens = 30
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			other := variants[0]
			if v == other {
				other = variants[3]
			}
			for _, c := range []struct {
				by     variant
				slots  int // of the drafter
				steps  int // at most, of 3 sequences that begin together
				others int
			}{{v, 3, 14, 2}, {v, 1, 14, 2}, {other, 2, tokens + 3, 2}, {v, 1, 12, 0}} {
				d, err := NewDrafter(session(t, c.by, c.slots, 400))
				if err != nil {
					t.Fatal(err)
				}
				b := mustNew(t, session(t, v, 4, 400), Options{Chunk: 16})
				if err := d.Fits(b.s); err != nil {
					t.Fatal(err)
				}
				live, want := map[int]*trace{}, map[*trace]*trace{}
				for i := range 1 + c.others {
					r := Request{Prompt: prompt(9+30*i, fmt.Sprint("text", i)), Tokens: tokens, Choice: i, Sampler: model.Sampler{Temperature: 0, Seed: 4}}
					if i == 1 && c.by == other {
						r.Sampler.Temperature = 1
					}
					x := &trace{}
					want[x] = alone(t, v, r, 16)
					r.Draft = d.Draft(r.Prompt)
					live[mustAdmit(t, b, x.record(r))] = x
				}
				all, steps := len(live), 0
				for ; len(live) > 0; steps++ {
					step(t, b, live)
				}
				for x, w := range want {
					if !x.equal(w) {
						t.Errorf("%+v: other tokens or scores than without guesses", c)
					}
				}
				if most := c.steps + 8*(all-1)/2; steps > most { // prompts are read one after the other
					t.Errorf("%+v: %d steps, want at most %d", c, steps, most)
				}
			}
		})
	}
}

// TestDrafterRefuses a model with other tokens, and guesses nothing where its caches end.
func TestDrafterRefuses(t *testing.T) {
	d, err := NewDrafter(session(t, variants[0], 1, 40))
	if err != nil {
		t.Fatal(err)
	}
	guess := d.Draft(prompt(30, "a"))
	if got := guess([]int{1, 2}); len(got) != firstGuesses {
		t.Errorf("%d guesses, want %d", len(got), firstGuesses)
	}
	if got := guess(make([]int, 10)); len(got) != 1 {
		t.Errorf("%d guesses at the end of the caches, want 1", len(got))
	}
	if got := guess(make([]int, 11)); got != nil {
		t.Errorf("%v behind the end of the caches", got)
	}
	if _, err := d.b.Step(context.Background()); err != nil {
		t.Error(err)
	}
	d.b.vocab++
	if err := d.Fits(session(t, variants[0], 1, 40)); err == nil {
		t.Error("a model with other tokens fits")
	}
}

// TestDrafterRests: right guesses become more, up to seven at once; those of a draft that is always wrong become few.
func TestDrafterRests(t *testing.T) {
	d, err := NewDrafter(session(t, variants[0], 1, 400))
	if err != nil {
		t.Fatal(err)
	}
	written, guess := []int(nil), d.Draft(prompt(5, "a"))
	for _, want := range []int{3, 7, 7} {
		next := guess(written)
		if len(next) != want {
			t.Errorf("%d guesses, want %d", len(next), want)
		}
		written = append(written, append(next, 1)...)
	}
	if made, right := d.Made.Load(), d.Right.Load(); made != 10 || right != 10 {
		t.Errorf("%d of %d guesses were right, want all 10 of which is known", right, made)
	}
	made := 0
	written, guess = nil, d.Draft(prompt(5, "b"))
	for range 200 {
		next := guess(written)
		id := 1
		if made += len(next); len(next) > 0 {
			id = (next[0] + 1) % vocab
		}
		written = append(written, id)
	}
	if want := 3 + 3 + 3 + 3; made != want {
		t.Errorf("%d wrong guesses for 200 tokens, want %d", made, want)
	}
	if right := d.Right.Load(); right != 10 {
		t.Errorf("%d were right, want none but the 10 of the other text", right)
	}
}
