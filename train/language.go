package train

import (
	"context"
	"fmt"
	"math"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decode"
)

// language is the task of a language model: each token of a text from those before it.
type language struct{ corpus }

func openLanguage(cfg Config, files Files) (*language, error) {
	c, err := openCorpus(cfg, files)
	return &language{c}, err
}

// Tokenizer implements Generator.
func (l *language) Tokenizer() tokenizers.Tokenizer { return l.tokenizer }

// Share implements Sharer.
func (l *language) Share(from Task) {
	if o, ok := from.(*language); ok {
		l.share(&o.corpus)
	}
}

func (l *language) Batches(ctx context.Context, s *model.Session, f Feed) (Stream, error) {
	return l.stream(ctx, s, f, func(p *model.Program, w *windows) int {
		p.Feed(map[string][]int{"tokens": w.inputs, "targets": w.targets})
		count := 0
		for _, target := range w.targets {
			if target != data.IgnoredTarget {
				count++
			}
		}
		return count
	})
}

func (l *language) Evaluate(ctx context.Context, s *model.Session, m Measure) (Score, error) {
	batches, err := l.Batches(ctx, s, l.feed(m))
	if err != nil {
		return Score{}, err
	}
	loss, n, err := evaluate(ctx, batches, "validation text", m, nil)
	if n == 0 {
		return Score{}, err
	}
	return score(l, "tokens", n, loss, math.Exp(loss)), err
}

// Suggest implements Suggester: a prompt that the model can continue, and what it writes after that of the config.
func (l *language) Suggest(ctx context.Context, s *model.Session) (x Suggestion, err error) {
	if x.Sample, err = l.sample(ctx, s); err != nil && ctx.Err() == nil {
		return x, err
	}
	if prompt, tokens := l.suggest(); tokens > 0 {
		x.Command, x.Args = "generate", []string{"--prompt", prompt, "--tokens", fmt.Sprint(tokens)}
	}
	return x, nil
}

// sample lets the trained model continue the configured prompt.
func (l *language) sample(ctx context.Context, s *model.Session) (string, error) {
	c := l.cfg.Sample
	if c.Prompt == "" || ctx.Err() != nil {
		return "", nil
	}
	prompt, err := l.tokenizer.Encode(c.Prompt)
	if err != nil {
		return "", err
	}
	ids := prompt
	r := decode.Request{
		Tokens:  l.cfg.room(len(prompt), c.Tokens),
		Sampler: model.Sampler{Temperature: c.Temperature, TopP: c.TopP, Seed: l.cfg.Seed},
		Stop:    decode.StopAt(l.tokenizer.Separator()),
	}
	err = decode.Generate(ctx, s, [][]int{prompt}, r, func(_, token int) error {
		ids = append(ids, token)
		return nil
	})
	return l.tokenizer.Decode(ids), err
}

// suggest returns a prompt to try, the configured one or the first word of the
// validation text, and how many tokens may follow it.
func (l *language) suggest() (prompt string, tokens int) {
	const most, head = 300, 32
	prompt = l.cfg.Sample.Prompt
	if prompt == "" {
		ids := make([]int, min(head, l.text.Validation.Len()))
		l.text.Validation.Copy(ids, 0)
		prompt = "a"
		if words := strings.Fields(strings.ToValidUTF8(l.tokenizer.Decode(ids), " ")); len(words) > 0 {
			prompt = words[0]
		}
	}
	ids, err := l.tokenizer.Encode(prompt)
	if err != nil || l.cfg.room(len(ids), most) < 1 {
		return "", 0
	}
	return prompt, l.cfg.room(len(ids), most)
}

// Check implements Checker. It refuses a sample that would fail at the end: a prompt that cannot be read, and a text for
// which there is no room. A tokenizer that is still to be made from the text tells nothing yet.
func (l *language) Check() error {
	c := l.cfg
	if c.Sample.Prompt == "" || l.tokenizer == nil {
		return nil
	}
	ids, err := l.tokenizer.Encode(c.Sample.Prompt)
	if err != nil {
		return fmt.Errorf("[sample] prompt = %q: %w", c.Sample.Prompt, err)
	}
	if n := c.longest(); n > 0 && len(ids) >= n {
		return fmt.Errorf("[sample] prompt = %q is %d tokens long; learned positions end at %d: want a shorter one", c.Sample.Prompt, len(ids), n)
	}
	perToken := c.Model.NLayer * c.Model.Attention.CacheBytesPerToken(c.Model.DModel, tensor.Float32, false)
	if err := cacheFits(float64(len(ids))+float64(c.room(len(ids), c.Sample.Tokens)), perToken); err != nil {
		return fmt.Errorf("[sample] tokens = %d: %w", c.Sample.Tokens, err)
	}
	return nil
}
