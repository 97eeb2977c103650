package decode

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestBroken: a sequence whose scores are no numbers ends, with an error that says so, and those beside it and after it in its slot
// have the bits that they have alone; by a Batch, by a Loop and with kept prefixes.
func TestBroken(t *testing.T) {
	const damaged = vocab - 1
	for _, v := range []variant{{"mha", "rotary", "", false, false}, {"gqa", "rotary", "int8", true, false}} {
		good := Request{Prompt: slices.DeleteFunc(prompt(200, "good"), func(id int) bool { return id == damaged }), Tokens: 20}
		bad := Request{Prompt: append(slices.Repeat([]int{3}, 150), damaged, 4), Tokens: 20}
		late := Request{Prompt: []int{5, 6}, Tokens: 20} // its second token is the damaged one
		late.Allow = func(written []int, scores []float32) {
			if len(written) == 1 {
				scores[damaged] = 1e9
			}
		}
		want := alone(t, v, good, 0)
		if slices.Contains(want.tokens, damaged) {
			t.Fatal("the damaged token is written")
		}
		s := session(t, v, 3, 256)
		row := s.Store().Get("model.embed_tokens.weight").Float32s()
		for i := range 48 {
			row[damaged*48+i] = float32(math.NaN())
		}
		b := mustNew(t, s, Options{PrefixBytes: 1 << 20})
		for round := range 2 {
			x := &trace{}
			slots := map[int]string{mustAdmit(t, b, bad): "bad", mustAdmit(t, b, x.record(good)): "good", mustAdmit(t, b, late): "late"}
			errs := map[string]error{}
			for len(slots) > 0 {
				tokens, err := b.Step(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range tokens {
					name := slots[o.Slot]
					if o.Err != nil {
						errs[name] = o.Err
					}
					if name == "good" {
						x.tokens = append(x.tokens, o.ID)
					}
					if o.Finish != "" {
						b.Release(o.Slot)
						delete(slots, o.Slot)
					}
				}
			}
			if errs["bad"] == nil || errs["late"] == nil || errs["good"] != nil || !strings.Contains(errs["late"].Error(), "the score of token 0 is NaN") {
				t.Errorf("%s, round %d: %v", v, round, errs)
			}
			if !x.equal(want) {
				t.Errorf("%s, round %d: other scores beside sequences that break", v, round)
			}
		}
		l := NewLoop(b, 1)
		for _, r := range []Request{bad, good} {
			var tokens []int
			var failed error
			for x, err := range l.Submit(context.Background(), r) {
				tokens, failed = append(tokens, x.ID), errors.Join(failed, err)
			}
			if broken := len(r.Prompt) == len(bad.Prompt); broken != (failed != nil) || !broken && !slices.Equal(tokens, want.tokens) {
				t.Errorf("%s, a loop: %v, %v", v, tokens, failed)
			}
		}
		l.Close()
	}
}
