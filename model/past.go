package model

import (
	"errors"
	"fmt"

	"sparrow/internal/rng"
)

// patternLength is the number of drawn values that fill a cache, over and over: a prime, so that no two of the first
// 4,099 tokens have the same keys.
const patternLength = 4099

// DecodeAfter is the program of one step of decoding, a token for each of batch sequences, after past tokens each that nobody
// computed: its caches, which are its own, hold drawn values. Each run computes the same again, so that the time of a step can
// be measured after any number of tokens.
func (s *Session) DecodeAfter(batch, past int) (*Program, error) {
	if batch < 1 || past < 0 {
		return nil, fmt.Errorf("model: %d sequences after %d tokens; want at least 1 and 0", batch, past)
	}
	d := s.Decoding(batch, past+1)
	p, err := d.Program(Infer, Shape{Rows: batch, Length: 1})
	if err != nil {
		return nil, err
	}
	if !p.Has("past") {
		return nil, errors.New("model: the network labels texts or fills gaps and cannot continue a text; want a decoder")
	}
	pattern := make([]float64, patternLength)
	rng.FillNormal(rng.New(s.opts.Seed, "past", 0), pattern, 0, 1)
	for _, c := range d.Caches() {
		c.Fill(pattern)
	}
	vocab := p.g.outputs["logits"].Shape()[1]
	for i := range batch {
		p.Ints("tokens")[i], p.Ints("slots")[i], p.Ints("past")[i], p.Ints("fresh")[i] = i%vocab, i, past, 1
		p.Ints("positions")[i], p.Ints("last")[i] = past, i
	}
	return p, nil
}
