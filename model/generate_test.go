package model

import (
	"context"
)

// generate continues each prompt, calling emit for every new token of every
// sequence in order of time. Prompts of different lengths share a batch. It
// ends after opts.Tokens tokens, when every sequence has stopped, when emit
// returns an error, or when ctx is done. Weights that give no finite scores are an
// error.
func (s *Session) generate(ctx context.Context, prompts [][]int, opts GenerateOptions, emit func(seq, token int) error) error {
	longest, err := checkPrompts(prompts, opts)
	if err != nil {
		return err
	}
	s.reserve(len(prompts), longest+opts.Tokens)
	past := make([]int, len(prompts))
	logits, err := s.prefill(ctx, prompts, past)
	if err != nil {
		return err
	}
	step, err := s.decoding(len(prompts), 1)
	if err != nil {
		return err
	}
	writer := newWriter(opts, 0, len(prompts), emit)
	for {
		live, err := writer.write(logits, step.Ints("tokens"), step.Ints("fresh"))
		if err != nil || !live {
			return err
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
	logits := make([][]float64, len(prompts))
	from := 0
	for _, n := range chunks(prompts) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := s.decoding(len(prompts), n)
		if err != nil {
			return nil, err
		}
		readChunk(prompts, from, n, p.Ints("tokens"), p.Ints("fresh"))
		if err := s.advance(p, past, logits); err != nil {
			return nil, err
		}
		from += n
	}
	return logits, nil
}
