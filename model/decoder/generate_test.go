package decoder

import (
	"context"

	"sparrow/model"
)

// generate continues each prompt, calling emit for every new token of every
// sequence in order of time. Prompts of different lengths share a batch. It
// ends after opts.Tokens tokens, when every sequence has stopped, when emit
// returns an error, or when ctx is done. Weights that give no finite scores are an
// error.
func generate(ctx context.Context, s *model.Session, prompts [][]int, opts GenerateOptions, emit func(seq, token int) error) error {
	longest, err := checkPrompts(prompts, opts)
	if err != nil {
		return err
	}
	s = s.Decoding(len(prompts), longest+opts.Tokens)
	past := make([]int, len(prompts))
	logits, err := prefill(ctx, s, prompts, past)
	if err != nil {
		return err
	}
	step, err := decoding(s, len(prompts), 1)
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
		if err := advance(s, step, past, logits); err != nil {
			return err
		}
	}
}

// prefill runs the prompts through the network in chunks and returns the scores
// after each prompt's last token; past becomes the lengths of the prompts.
func prefill(ctx context.Context, s *model.Session, prompts [][]int, past []int) ([][]float64, error) {
	logits := make([][]float64, len(prompts))
	from := 0
	for _, n := range chunks(prompts) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := decoding(s, len(prompts), n)
		if err != nil {
			return nil, err
		}
		readChunk(prompts, from, n, p.Ints("tokens"), p.Ints("fresh"))
		if err := advance(s, p, past, logits); err != nil {
			return nil, err
		}
		from += n
	}
	return logits, nil
}

// decoding is the program of a network that runs over its caches.
func decoding(s *model.Session, rows, length int) (*model.Program, error) {
	return s.Program(model.Infer, model.Shape{Rows: rows, Length: length})
}

// advance runs a decoding program on the tokens that it holds, fills in the scores of the sequences that had any, and counts
// their tokens as past.
func advance(s *model.Session, p *model.Program, past []int, logits [][]float64) error {
	copy(p.Ints("past"), past)
	for i := range past {
		p.Ints("slots")[i] = i
	}
	_, capacity := s.Slots()
	place(past, p.Ints("fresh"), p.Ints("positions"), p.Ints("last"), capacity)
	if err := p.Run(); err != nil {
		return err
	}
	takeScores(p.Output("logits").Float64s(), p.Ints("fresh"), past, logits)
	return nil
}
