package train

import (
	"context"
	"strings"

	"sparrow/data"
	"sparrow/model"
)

// language is the task of a language model: each token of a text from those before it.
type language struct {
	cfg     Config
	dataset *data.Dataset
	loader  *data.Loader
	build   func() (*model.Program, error)
	inputs  []int // of a micro-batch, [BatchSize, SeqLen]
	targets []int // likewise
}

func openLanguage(ctx context.Context, cfg Config, from *kept) (*language, error) {
	l := &language{cfg: cfg}
	var err error
	if from == nil {
		l.dataset, err = data.Open(ctx, cfg.Data)
	} else {
		l.dataset, err = from.openText(ctx, cfg.Data)
	}
	return l, err
}

func (l *language) about() about {
	d := l.dataset
	return about{
		data: d.Describe(), sha256: d.SHA256, bytes: d.TextBytes(), tokenizer: d.Tokenizer,
		dims: l.cfg.dims(d.Tokenizer.VocabSize()), seqLen: l.cfg.Data.SeqLen, lengths: 1,
		files: map[string][]byte{"tokenizer.json": d.Tokenizer.Save()}, unit: "tokens",
	}
}

func (l *language) begin(_ *model.Session, program func(batch, seqLen int) (*model.Program, error)) error {
	b, n := l.cfg.Train.BatchSize, l.cfg.Data.SeqLen
	l.build = func() (*model.Program, error) { return program(b, n) }
	_, err := l.build()
	if err != nil {
		return err
	}
	l.inputs, l.targets = make([]int, b*n), make([]int, b*n)
	l.loader, err = data.NewLoader(l.dataset.Train, data.LoaderConfig{SeqLen: n, BatchSize: b, Seed: l.cfg.Seed})
	return err
}

func (l *language) next() (*model.Program, int, error) {
	p, err := l.build()
	if err != nil {
		return nil, 0, err
	}
	l.loader.Next(l.inputs, l.targets)
	p.Feed(l.inputs, l.targets)
	count := 0
	for _, target := range l.targets {
		if target != data.IgnoredTarget {
			count++
		}
	}
	return p, count, nil
}

func (l *language) lengths() []int { return nil }

func (l *language) cursor() data.Cursor           { return l.loader.Cursor() }
func (l *language) seek(cursor data.Cursor) error { return l.loader.Seek(cursor) }

func (l *language) evaluate(ctx context.Context, s *model.Session, after func(done, total int, loss float64)) (Score, error) {
	return Evaluate(ctx, s, l.dataset.Validation, l.cfg.Data.SeqLen, l.cfg.Train.BatchSize, l.cfg.Eval.Tokens, after)
}

func (l *language) finish(ctx context.Context, s *model.Session, r *Result) error {
	var err error
	if r.Sample, err = l.sample(ctx, s); err != nil && ctx.Err() == nil {
		return err
	}
	r.Prompt, r.NewTokens = l.suggest()
	return nil
}

// sample lets the trained model continue the configured prompt.
func (l *language) sample(ctx context.Context, s *model.Session) (string, error) {
	c, tokenizer := l.cfg.Sample, l.dataset.Tokenizer
	if c.Prompt == "" || ctx.Err() != nil {
		return "", nil
	}
	prompt, err := tokenizer.Encode(c.Prompt)
	if err != nil {
		return "", err
	}
	ids := prompt
	opts := model.GenerateOptions{
		Tokens:  l.cfg.room(len(prompt), c.Tokens),
		Sampler: model.Sampler{Temperature: c.Temperature, TopP: c.TopP, Seed: l.cfg.Seed},
		Stop:    func(token int) bool { return token == tokenizer.Separator() },
	}
	err = s.Generate(ctx, [][]int{prompt}, opts, func(_, token int) error {
		ids = append(ids, token)
		return nil
	})
	return tokenizer.Decode(ids), err
}

// suggest returns a prompt to try, the configured one or the first word of the
// validation text, and how many tokens may follow it.
func (l *language) suggest() (prompt string, tokens int) {
	const most, head = 300, 32
	prompt = l.cfg.Sample.Prompt
	if prompt == "" {
		ids := make([]int, min(head, l.dataset.Validation.Len()))
		l.dataset.Validation.Copy(ids, 0)
		prompt = "a"
		if words := strings.Fields(strings.ToValidUTF8(l.dataset.Tokenizer.Decode(ids), " ")); len(words) > 0 {
			prompt = words[0]
		}
	}
	ids, err := l.dataset.Tokenizer.Encode(prompt)
	if err != nil || l.cfg.room(len(ids), most) < 1 {
		return "", 0
	}
	return prompt, l.cfg.room(len(ids), most)
}

// lookAtLanguage is what is known of a text before it is read: all but its
// hash, and of a tokenizer that is made from it only its size.
func lookAtLanguage(ctx context.Context, cfg Config) (about, error) {
	survey, err := data.Look(ctx, cfg.Data)
	if err != nil {
		return about{}, err
	}
	if survey.VocabSize == 0 {
		l, err := openLanguage(ctx, cfg, nil)
		if err != nil {
			return about{}, err
		}
		return l.about(), nil
	}
	return about{
		data: survey.Describe(), bytes: int(survey.Bytes), tokenizer: survey.Tokenizer,
		dims: cfg.dims(survey.VocabSize), seqLen: cfg.Data.SeqLen, lengths: 1, unit: "tokens",
	}, nil
}
