package model

import (
	"fmt"

	"sparrow/internal/rng"
)

// patternLength is the number of drawn values that fill a cache, over and over: a prime, so that no two of the first
// 4,099 tokens have the same keys.
const patternLength = 4099

// DecodeAfter prepares one step of decoding, a token for each of batch sequences, after past tokens each that nobody
// computed: the caches hold drawn values. Each call of step computes the same again, so that the time of a step can be
// measured after any number of tokens. The next Generate begins anew.
func (s *Session) DecodeAfter(batch, past int) (step func() error, err error) {
	if batch < 1 || past < 0 {
		return nil, fmt.Errorf("model: %d sequences after %d tokens; want at least 1 and 0", batch, past)
	}
	s.reserve(batch, past+1)
	p, err := s.decoding(batch, 1)
	if err != nil {
		return nil, err
	}
	pattern := make([]float64, patternLength)
	rng.FillNormal(rng.New(s.opts.Seed, "past", 0), pattern, 0, 1)
	for _, c := range s.Caches() {
		c.Fill(pattern)
	}
	vocab := p.g.outputs["logits"].Shape()[1]
	before, logits := make([]int, batch), make([][]float64, batch)
	return func() error {
		for i := range before {
			before[i], p.Ints("tokens")[i], p.Ints("fresh")[i] = past, i%vocab, 1
		}
		return s.advance(p, before, logits)
	}, nil
}
