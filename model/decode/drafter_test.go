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
				d, err := NewDrafter(session(t, c.by, c.slots, 400), 0.2)
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
	d, err := NewDrafter(session(t, variants[0], 1, 40), 0.2)
	if err != nil {
		t.Fatal(err)
	}
	guess := d.Draft(prompt(30, "a"))
	if got := guess([]int{1, 2}); len(got) != 7 {
		t.Errorf("%d guesses, want 7", len(got))
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

// TestDrafterWeighs: a cheap draft that is right guesses seven tokens at once; one that is wrong, or costs as much as the model, soon
// guesses none; a long prompt is read by chunks before the first guess.
func TestDrafterWeighs(t *testing.T) {
	drafter := func(cost float64) *Drafter {
		d, err := NewDrafter(session(t, variants[0], 1, 600), cost)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := drafter(0.2)
	written, guess := []int(nil), d.Draft(prompt(300, "a"))
	for i, want := range []int{0, 0, 7, 7, 7} {
		next := guess(written)
		if len(next) != want {
			t.Errorf("call %d: %d guesses, want %d", i, len(next), want)
		}
		written = append(written, append(next, 1)...)
	}
	if made, right := d.Made.Load(), d.Right.Load(); made != 14 || right != 14 {
		t.Errorf("%d of %d guesses were right, want all 14 of which is known", right, made)
	}
	for _, x := range []struct {
		cost        float64
		most, calls int // guesses of which none is right; how often there are some
	}{{0.2, 7, 12}, {0.6, 3, 4}, {1.1, 0, 0}} {
		d = drafter(x.cost)
		written, guess = nil, d.Draft(prompt(5, "b"))
		most, calls := 0, 0
		for range 200 {
			next, id := guess(written), 1
			if len(next) > 0 {
				most, calls, id = max(most, len(next)), calls+1, (next[0]+1)%vocab
			}
			written = append(written, id)
		}
		if most != x.most || calls > x.calls || d.Right.Load() != 0 {
			t.Errorf("at a cost of %g: up to %d guesses, %d times; want %d, and at most %d times", x.cost, most, calls, x.most, x.calls)
		}
	}
}
