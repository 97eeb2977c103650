package decode

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sparrow/model"
)

// Generate continues each prompt over a session's weights in a batch of its own, as r
// says but for prompt and choice: the choice is the prompt's number. It calls emit for
// every token but one that stops a sequence. It ends when every sequence has, when emit
// returns an error, or when ctx is done. Weights that give no finite scores are an
// error.
func Generate(ctx context.Context, s *model.Session, prompts [][]int, r Request, emit func(seq, token int) error) error {
	longest := 0
	for i, p := range prompts {
		if len(p) == 0 {
			return fmt.Errorf("model: prompt %d is empty: a model continues at least one token", i)
		}
		longest = max(longest, len(p))
	}
	if len(prompts) == 0 || r.Tokens < 1 {
		return errors.New("model: nothing to generate: want a prompt and at least one token")
	}
	b, err := New(s.Decoding(len(prompts), longest+r.Tokens), Options{})
	if err != nil {
		return err
	}
	for i, p := range prompts { // slot i
		r.Prompt, r.Choice = p, i
		if _, err := b.Admit(r); err != nil {
			return err
		}
	}
	done := make([]bool, len(prompts))
	for live := len(prompts); live > 0; {
		tokens, err := b.Step(ctx)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			if done[t.Slot] { // with guesses that were right beside the token at which its caller stopped
				continue
			}
			if t.Finish != "" {
				live--
			}
			if t.Finish == Stopped {
				continue
			}
			if t.Finish == Broken {
				return t.Err
			}
			err := emit(t.Slot, t.ID)
			switch {
			case errors.Is(err, ErrDone) && t.Finish == "":
				live--
				done[t.Slot] = true
				b.Release(t.Slot)
			case err != nil && !errors.Is(err, ErrDone):
				return err
			}
		}
	}
	return nil
}

// ErrDone is what the emit of [Generate] returns of a sequence that needs no more tokens.
var ErrDone = errors.New("decode: the sequence is done")

// StopAt is a Request.Stop that ends a sequence at one of some tokens.
func StopAt(tokens ...int) func(written []int) bool {
	return func(written []int) bool { return slices.Contains(tokens, written[len(written)-1]) }
}
