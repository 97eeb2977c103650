package texts

import (
	"context"
	"errors"
	"fmt"

	"sparrow/data"
	labelleddata "sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/task"
)

// Reads implements Predictor.
func (l *Task) Reads() task.Form {
	if l.labels.Pairs {
		return task.TwoTexts
	}
	return task.OneText
}

// Names implements Predictor.
func (l *Task) Names() []string {
	if l.labels.Regression {
		return []string{task.ScoreName}
	}
	return l.labels.Names
}

// Predict labels texts, longer ones cut as the model's training data was. One that is not valid UTF-8 is an error.
func (l *Task) Predict(ctx context.Context, s *model.Session, in []task.Input) ([]task.Prediction, error) {
	out := make([]task.Prediction, len(in))
	width := len(l.Names())
	err := l.each(ctx, s, in, func(p *model.Program, first, n int) error {
		logits := p.Output("logits").Float64s()
		for i := range n {
			var err error
			if out[first+i], err = l.labels.Predict(logits[i*width : (i+1)*width]); err != nil {
				return &task.InputError{Index: first + i, Err: err}
			}
		}
		return nil
	})
	return out, err
}

// Ranks implements Ranker: a model of pairs with one score, or two classes of which the second means that a document answers.
func (l *Task) Ranks() bool {
	return l.labels.Pairs && (l.labels.Regression || len(l.labels.Names) == 2)
}

// Rank implements Ranker: query and document are the two texts of a pair.
func (l *Task) Rank(ctx context.Context, s *model.Session, query string, documents []string) ([]float64, error) {
	pairs := make([]task.Input, len(documents))
	for i, d := range documents {
		pairs[i] = task.Input{Texts: []string{query, d}}
	}
	predictions, err := l.Predict(ctx, s, pairs)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(documents))
	for i, p := range predictions {
		for _, v := range p {
			if l.labels.Regression || v.Name == l.labels.Names[1] {
				scores[i] = v.X
			}
		}
	}
	return scores, nil
}

// Attend implements Attender.
func (l *Task) Attend(ctx context.Context, s *model.Session, in []task.Input) ([]task.Attention, error) {
	encoder, err := l.encoder(s)
	if err != nil {
		return nil, err
	}
	out := make([]task.Attention, len(in))
	for i, x := range in {
		if out[i].Tokens, err = encoder.Words(x.Texts...); err != nil {
			return nil, &task.InputError{Index: i, Err: err}
		}
	}
	err = l.each(ctx, s, in, func(p *model.Program, first, n int) error {
		weights := p.Site(model.AttentionSite) // [B*T, M]
		for i := range n {
			x := &out[first+i]
			x.Heads = make([][]float64, weights.Width)
			for h := range x.Heads {
				for t := range x.Tokens {
					x.Heads[h] = append(x.Heads[h], weights.At(i*p.Shape.Length+t, h))
				}
			}
		}
		return nil
	}, model.AttentionSite)
	if errors.Is(err, model.ErrNoSite) {
		err = errors.New("this network does not pool words by attention: there are no weights of words to show; want kind = \"lama\" with another pooling than mean")
	}
	return out, err
}

func (l *Task) encoder(s *model.Session) (*labelleddata.TextEncoder, error) {
	cfg := l.from.Labelled().Lengths
	cfg.MaxLen = min(cfg.MaxLen, contextOf(s))
	return labelleddata.NewTextEncoder(l.tokenizer, cfg)
}

// each runs the network on some inputs after the other, keeping the sites; do is told of each run, and which inputs its rows are.
func (l *Task) each(ctx context.Context, s *model.Session, in []task.Input, do func(p *model.Program, first, n int) error, sites ...string) error {
	encoder, err := l.encoder(s)
	if err != nil {
		return err
	}
	want := 1
	if l.labels.Pairs {
		want = 2
	}
	for first := 0; first < len(in); first += task.PredictBatch {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := in[first:min(first+task.PredictBatch, len(in))]
		examples := make([]labelleddata.Example, len(some))
		longest := 0
		for i, x := range some {
			if len(x.Texts) != want {
				return &task.InputError{Index: first + i, Err: fmt.Errorf("%d texts; want %d", len(x.Texts), want)}
			}
			if examples[i], err = encoder.Encode(x.Texts...); err != nil {
				return &task.InputError{Index: first + i, Err: err}
			}
			longest = max(longest, len(examples[i].Tokens))
		}
		p, err := l.program(s, len(some), longest, sites)
		if err != nil {
			return err
		}
		feedExamples(p, padded(examples, p.Shape.Rows, p.Shape.Length, tokenizers.Specials(l.tokenizer).Pad))
		if err := p.Run(); err != nil {
			return err
		}
		if err := do(p, first, len(some)); err != nil {
			return err
		}
	}
	return nil
}

// program is one of a few that hold rows texts of length tokens: each one is a graph to build and to keep.
func (l *Task) program(s *model.Session, rows, length int, sites []string) (*model.Program, error) {
	const shortest = 16
	n := shortest
	for n < length {
		n *= 2
	}
	if rows > 1 {
		rows = task.PredictBatch
	}
	return s.Program(model.Score, model.Shape{Rows: rows, Length: min(n, contextOf(s))}, sites...)
}

func padded(examples []labelleddata.Example, rows, seqLen, pad int) *labelleddata.Batch {
	x := &labelleddata.Batch{Tokens: make([]int, rows*seqLen), Types: make([]int, rows*seqLen), Lengths: make([]int, rows), Labels: make([]int, rows)}
	for i := range x.Tokens {
		x.Tokens[i] = pad
	}
	for i := range rows {
		x.Labels[i] = data.IgnoredTarget
	}
	for i, e := range examples {
		copy(x.Tokens[i*seqLen:], e.Tokens)
		copy(x.Types[i*seqLen:], e.Types)
		x.Lengths[i] = len(e.Tokens)
	}
	return x
}
