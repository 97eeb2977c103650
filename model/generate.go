package model

import (
	"context"
	"errors"
	"fmt"
)

// GenerateOptions say how tokens are chosen and when to stop.
type GenerateOptions struct {
	Tokens int // new tokens a sequence
	Sampler
	Stop func(token int) bool // ends a sequence; nil: never
}

// prefillChunk is how many tokens of a prompt one run takes.
const prefillChunk = 128

// Generate continues each prompt, calling emit for every new token of every
// sequence in order of time. Prompts of different lengths share a batch. It
// ends after opts.Tokens tokens, when every sequence has stopped, when emit
// returns an error, or when ctx is done.
func (s *Session) Generate(ctx context.Context, prompts [][]int, opts GenerateOptions, emit func(seq, token int) error) error {
	if s.cfg.Kind != "decoder" {
		return fmt.Errorf("model: kind = %q cannot continue texts; want a decoder", s.cfg.Kind)
	}
	longest := 0
	for i, p := range prompts {
		if len(p) == 0 {
			return fmt.Errorf("model: prompt %d is empty: a model continues at least one token", i)
		}
		longest = max(longest, len(p))
	}
	if len(prompts) == 0 || opts.Tokens < 1 {
		return errors.New("model: nothing to generate: want a prompt and at least one token")
	}
	if err := s.reserve(len(prompts), longest+opts.Tokens); err != nil {
		return err
	}
	past := make([]int, len(prompts))
	logits, err := s.prefill(ctx, prompts, past)
	if err != nil {
		return err
	}
	samplers := make([]*chooser, len(prompts))
	for i := range samplers {
		samplers[i] = opts.Sampler.chooser(i)
	}
	step, err := s.program(decoding, len(prompts), 1)
	if err != nil {
		return err
	}
	stopped := make([]bool, len(prompts))
	for n := 0; ; n++ {
		live := false
		for i := range prompts {
			step.fresh[i] = 0
			if stopped[i] {
				continue
			}
			token := samplers[i].choose(logits[i])
			if opts.Stop != nil && opts.Stop(token) {
				stopped[i] = true
				continue
			}
			if err := emit(i, token); err != nil {
				return err
			}
			step.tokens[i], step.fresh[i] = token, 1
			live = true
		}
		if !live || n+1 == opts.Tokens {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.advance(step, past, logits); err != nil {
			return err
		}
	}
}

// prefill runs the prompts through the network in chunks and returns the scores
// after each prompt's last token; past becomes the lengths of the prompts.
func (s *Session) prefill(ctx context.Context, prompts [][]int, past []int) ([][]float64, error) {
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	logits := make([][]float64, len(prompts))
	for from := 0; from < longest; from += prefillChunk {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(prefillChunk, longest-from)
		p, err := s.program(decoding, len(prompts), n)
		if err != nil {
			return nil, err
		}
		for i, prompt := range prompts {
			row := p.tokens[i*n : (i+1)*n]
			clear(row)
			p.fresh[i] = copy(row, prompt[min(from, len(prompt)):])
		}
		if err := s.advance(p, past, logits); err != nil {
			return nil, err
		}
	}
	return logits, nil
}

// advance runs a decoding program on the tokens that it holds, fills in the
// scores of the sequences that had any, and counts their tokens as past.
func (s *Session) advance(p *Program, past []int, logits [][]float64) error {
	copy(p.past, past)
	for i := range p.fresh {
		for j := range p.SeqLen {
			p.positions[i*p.SeqLen+j] = min(past[i]+j, s.capacity-1) // padding stays in range
		}
		p.last[i] = i*p.SeqLen + max(0, p.fresh[i]-1)
	}
	if err := p.Run(); err != nil {
		return err
	}
	all := p.scores()
	vocab := s.dims.VocabSize
	for i, n := range p.fresh {
		if n > 0 {
			logits[i] = all[i*vocab : (i+1)*vocab]
			past[i] += n
		}
	}
	return nil
}
