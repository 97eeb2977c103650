package decode

import (
	"context"
	"testing"
)

// TestPace: beside one that writes a long prompt is read by a chunk in every few steps, a short one at once, and alone each step reads;
// what is written has the same bits.
func TestPace(t *testing.T) {
	v := variants[0]
	first, long, short := Request{Prompt: prompt(5, "first"), Tokens: 100}, Request{Prompt: prompt(100, "long"), Tokens: 4}, Request{Prompt: prompt(9, "short"), Tokens: 4}
	want := alone(t, v, long, 16)
	b := mustNew(t, session(t, v, 3, 200), Options{Chunk: 16, Pace: 5})
	writes := mustAdmit(t, b, first)
	x := &trace{}
	reads := mustAdmit(t, b, x.record(long))
	late, steps, got, begun, next := -1, 0, 0, 0, 0
	for got < long.Tokens {
		if steps == 20 {
			late = mustAdmit(t, b, short)
		}
		before := b.slots[reads].past
		tokens, err := b.Step(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		steps++
		for _, o := range tokens {
			switch o.Slot {
			case reads:
				got++
				x.tokens = append(x.tokens, o.ID)
			case late:
				if begun == 0 {
					begun = steps
				}
			}
		}
		if past := b.slots[reads].past; past > before && past <= len(long.Prompt) && b.slots[reads].written == nil {
			if next > 0 && steps != next {
				t.Errorf("a chunk is read in step %d; want %d", steps, next)
			}
			next = steps + 6
		}
	}
	if begun != 21 {
		t.Errorf("a short prompt that came in step 21 has its first token in step %d", begun)
	}
	if steps < 7*5 || b.slots[writes].past < steps {
		t.Errorf("%d steps, in which the one that writes has %d places", steps, b.slots[writes].past)
	}
	if !x.equal(want) {
		t.Error("a prompt that is read slowly gives other scores")
	}
	// Alone.
	b = mustNew(t, session(t, v, 1, 200), Options{Chunk: 16, Pace: 5})
	mustAdmit(t, b, long)
	for range 7 {
		if _, err := b.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.slots[0].written) != 1 {
		t.Errorf("alone %d tokens after 7 steps", len(b.slots[0].written))
	}
}
