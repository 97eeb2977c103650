package sparrow

import (
	"context"
	"fmt"
	"iter"
	"math"

	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/task"
)

// GenerateOptions say how a text is continued. The zero value writes up to 200 tokens, always the likeliest.
type GenerateOptions struct {
	Tokens      int     // at most; 0: 200
	Temperature float64 // 0: always the likeliest token
	TopK        int     // draw from the likeliest ones only; 0: all
	TopP        float64 // draw from the likeliest ones that hold this share of probability; 0 or 1: all
	MinP        float64 // draw from those at least this share as likely as the likeliest; 0: all
	Seed        uint64  // of the draws
	Choice      int     // which of several continuations with one seed

	RepetitionPenalty float64  // above 1: tokens that prompt and text have are less likely; 0 or 1: they are not
	Stop              []string // the text ends before the first of these that comes
}

// Defaults are the options that the model's makers recommend, of an imported model by its generation_config.json; else the zero
// value.
func (m *Model) Defaults() (o GenerateOptions) {
	if g, ok := m.m.Task.(task.Generator); ok {
		s := g.Sampling(model.Sampler{})
		o.Temperature, o.TopK, o.TopP, o.MinP, o.RepetitionPenalty = s.Temperature, s.TopK, s.TopP, s.MinP, s.RepetitionPenalty
	}
	return o
}

// Generate continues a prompt and yields the text piece by piece, each of whole characters. It ends after the tokens, at
// the token that ends a text, at the first error, which is yielded, or when the loop does. The body of the loop may use the
// model.
func (m *Model) Generate(ctx context.Context, prompt string, o GenerateOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		release, err := m.m.Hold()
		if err != nil {
			yield("", err)
			return
		}
		defer release()
		tokenizer, batch, err := m.start(prompt, o)
		if err != nil {
			yield("", err)
			return
		}
		stream, until := tokenizers.NewStream(tokenizer), tokenizers.NewUntil(o.Stop...)
		for {
			tokens, err := batch.Step(ctx)
			if err != nil {
				yield("", err)
				return
			}
			for _, t := range tokens {
				if t.Err != nil {
					yield("", t.Err)
					return
				}
				var piece string
				if t.Finish != decode.Stopped {
					piece = stream.Push(t.ID)
				}
				if t.Finish != "" {
					piece += stream.Flush()
				}
				text, stopped := until.Push(piece)
				if t.Finish != "" && !stopped {
					text += until.Flush()
				}
				if text != "" && !yield(text, nil) || stopped || t.Finish != "" {
					return
				}
			}
		}
	}
}

// defaultTokens is how many tokens Generate writes if nothing is said.
const defaultTokens = 200

// start prepares to continue a prompt.
func (m *Model) start(prompt string, o GenerateOptions) (tokenizers.Tokenizer, *decode.Batch, error) {
	g, ok := m.m.Task.(task.Generator)
	if !ok {
		return nil, nil, fmt.Errorf("%w: it continues no text", ErrCannot)
	}
	tokenizer := g.Tokenizer()
	ids, err := tokenizer.Encode(prompt)
	if err != nil {
		return nil, nil, err
	}
	if len(ids) > 0 {
		ids = tokenizers.FrameOf(tokenizer).Begin(ids)
	}
	if o.Tokens == 0 {
		o.Tokens = defaultTokens
	}
	if len(ids) == 0 || o.Tokens < 1 {
		return nil, nil, fmt.Errorf("sparrow: a prompt of %d tokens and %d to write; want at least 1 each", len(ids), o.Tokens)
	}
	if !(o.Temperature >= 0 && o.Temperature < math.Inf(1) && o.TopK >= 0 && o.TopP >= 0 && o.TopP <= 1 && o.MinP >= 0 && o.MinP <= 1 &&
		o.RepetitionPenalty >= 0 && o.RepetitionPenalty < math.Inf(1)) {
		return nil, nil, fmt.Errorf("sparrow: %+v: want a finite temperature and penalty and a TopK of 0 or more, and TopP and MinP from 0 to 1", o)
	}
	if err := m.m.Room(1, len(ids), o.Tokens); err != nil {
		return nil, nil, err
	}
	batch, err := decode.New(m.m.Session.Decoding(1, len(ids)+o.Tokens), decode.Options{})
	if err != nil {
		return nil, nil, err
	}
	r := decode.Request{
		Prompt: ids, Tokens: o.Tokens, Choice: o.Choice,
		Sampler: model.Sampler{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, MinP: o.MinP, RepetitionPenalty: o.RepetitionPenalty, Seed: o.Seed},
	}
	if ends := g.Ends(); len(ends) > 0 {
		r.Stop = decode.StopAt(ends...)
	}
	_, err = batch.Admit(r)
	return tokenizer, batch, err
}
