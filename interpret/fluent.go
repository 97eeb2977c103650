package interpret

import (
	"context"
	"errors"
	"math"

	"sparrow/factor"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/saved"
)

// Fluent is what steered texts are like, on the mean over features.
type Fluent struct {
	KL         float64 `json:"kl"`         // nats; below 0: the feature is taken away
	Concept    float64 `json:"concept"`    // share of the tokens that the features stand for
	Perplexity float64 `json:"perplexity"` // of the text under the model as it is
	Repeated   float64 `json:"repeated"`   // share of runs of three tokens that the text has had before
	Unmet      int     `json:"unmet"`      // features that cannot be strong enough
}

// How steered texts are written: as in the paper's experiments.
const (
	fluentTexts  = 8
	fluentTokens = 50
)

var (
	fluentSampler = model.Sampler{Temperature: 1, TopK: 30, TopP: 0.3, Seed: 1}
	fluentKLs     = []float64{0, 0.05, 0.15, 0.5, -0.05, -0.15, -0.5}
)

// fluent writes texts steered by some features of a set.
func (f *Folder) fluent(ctx context.Context, l *saved.Model, s *Set, site string, directions *factor.Matrix, chosen []int, p *probes) ([]Fluent, error) {
	var all []Fluent
	for _, kl := range fluentKLs {
		x, n := Fluent{KL: kl}, 0.0
		logs := 0.0
		for _, c := range chosen {
			r := decode.Request{Tokens: min(fluentTokens, l.Config.Room(probeTokens, fluentTokens)), Sampler: fluentSampler}
			if kl != 0 {
				found, err := s.direction(site, directions.Row(c), c).search(ctx, p, kl)
				if errors.Is(err, errUnmet) {
					x.Unmet++
					continue
				}
				if err != nil {
					return nil, err
				}
				r.Steer = []decode.Addition{found.Add}
			}
			prompts := f.Probes[:min(fluentTexts, len(f.Probes))]
			written := make([][]int, len(prompts))
			err := decode.Generate(ctx, l.Session, prompts, r, func(i, token int) error {
				written[i] = append(written[i], token)
				return nil
			})
			if err != nil {
				return nil, err
			}
			for i, ids := range written {
				loss, err := surprise(l, prompts[i], ids)
				if err != nil {
					return nil, err
				}
				n++
				logs += loss
				x.Concept += conceptShare(ids, s.Features[c].Next)
				x.Repeated += repeated(ids)
			}
		}
		if n > 0 {
			x.Concept, x.Repeated, x.Perplexity = x.Concept/n, x.Repeated/n, math.Exp(logs/n)
		}
		all = append(all, x)
	}
	return all, nil
}

// surprise is the mean loss of what follows a prompt, under the model as it is, as far back as its context goes.
func surprise(l *saved.Model, prompt, ids []int) (float64, error) {
	if n := l.Dims.Context; n > 1 {
		ids = ids[max(0, len(ids)-n+1):]
		prompt = prompt[max(0, len(prompt)+len(ids)-n):]
	}
	if len(prompt) == 0 {
		prompt, ids = ids[:1], ids[1:]
	}
	text := append(append([]int(nil), prompt...), ids...)
	p, err := l.Session.Program(model.Score, model.Shape{Rows: 1, Length: len(text)}, "logits")
	if err != nil {
		return 0, err
	}
	feed(p, [][]int{text})
	if err := p.Run(); err != nil {
		return 0, err
	}
	logits := p.Site("logits")
	row, logp, sum := make([]float32, logits.Width), make([]float64, logits.Width), 0.0
	for i, id := range ids {
		row = logits.Row(row, len(prompt)+i-1)
		if err := logProbabilities(logp, row); err != nil {
			return 0, err
		}
		sum -= logp[id] / float64(len(ids))
	}
	return sum, nil
}

// conceptShare is the share of tokens that are among some.
func conceptShare(ids []int, tokens []Token) float64 {
	n := 0.0
	for _, id := range ids {
		for _, t := range tokens {
			if t.ID == id {
				n++
			}
		}
	}
	return n / float64(len(ids))
}

// repeated is the share of runs of three tokens that have been before.
func repeated(ids []int) float64 {
	seen, n := map[[3]int]bool{}, 0.0
	for i := 3; i <= len(ids); i++ {
		run := [3]int(ids[i-3 : i])
		if seen[run] {
			n++
		}
		seen[run] = true
	}
	return n / float64(max(1, len(ids)-2))
}
