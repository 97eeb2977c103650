package compress

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"sparrow/model"
	"sparrow/train"
)

// Performance is what using a model costs and how good it is.
type Performance struct {
	Quality     *Quality `json:"quality"`
	PerSecond   float64  `json:"per_second"` // tokens or examples, when scoring batches of the validation split
	Latency     float64  `json:"latency_ms"`
	LatencyOf   string   `json:"latency_of"`       // "decoded token" or, of an encoder, "text" of full length or "image"
	Weights     int      `json:"weight_bytes"`     // in memory, in few bits where using the model keeps them so
	Activations int      `json:"activation_bytes"` // of one scoring run
	Disk        int64    `json:"disk_bytes"`       // of model.npz
}

const (
	rounds       = 3  // both models are measured so often, in turn
	decodeTokens = 24 // of a round
)

// compare measures two models on the same data, in turn, so that what else the machine does hits both. Times are medians.
func compare(ctx context.Context, before, after *train.Loaded, out io.Writer) (*Performance, *Performance, error) {
	both := [2]*train.Loaded{before, after}
	found := [2]*Performance{{}, {}}
	var batches, steps [2][]float64
	for round := range rounds {
		for i, l := range both {
			cfg := before.Config
			if round > 0 {
				cfg = forTheClock(cfg)
			}
			last := time.Time{}
			score, err := l.Evaluate(ctx, cfg, train.Part{Split: "validation"}, func(int, int, float64) {
				now := time.Now()
				if !last.IsZero() { // the first batch prepares the program
					batches[i] = append(batches[i], now.Sub(last).Seconds())
				}
				last = now
			})
			if err != nil {
				return nil, nil, err
			}
			if round == 0 {
				found[i].Quality = qualityOf(score)
				fmt.Fprintf(out, "%s: %s\n", l.Dir, score.Summary())
			}
			took, err := latencies(ctx, l)
			if err != nil {
				return nil, nil, err
			}
			steps[i] = append(steps[i], took...)
		}
	}
	for i, l := range both {
		p := found[i]
		perBatch := before.Config.Train.BatchSize
		length := l.Config.Data.SeqLen
		if l.Labels == nil {
			perBatch *= length
		} else {
			length = l.Session.Dims().Context
		}
		if t := median(batches[i]); t > 0 {
			p.PerSecond = float64(perBatch) / t
		}
		p.Latency, p.LatencyOf = 1e3*median(steps[i]), "text"
		switch {
		case l.Config.Model.Kind == "decoder":
			p.LatencyOf = "decoded token"
		case l.Images != nil:
			p.LatencyOf = "image"
		}
		program, err := l.Session.Score(before.Config.Train.BatchSize, length)
		if err != nil {
			return nil, nil, err
		}
		p.Weights, p.Activations = bytesOf(l.Session.Store()), program.ActivationBytes()
		for _, f := range l.Files.Manifest().Files {
			if f.Name == "model.npz" {
				p.Disk = f.Size
			}
		}
	}
	return found[0], found[1], nil
}

// forTheClock is the config of a round that measures speed alone: it evaluates some batches.
func forTheClock(cfg train.Config) train.Config {
	const some = 8
	cfg.Eval.Tokens, cfg.Eval.Examples = some*cfg.Train.BatchSize*cfg.Data.SeqLen, some*cfg.Train.BatchSize
	return cfg
}

// latencies are the seconds of single decoded tokens or, of an encoder, of single texts of full length or images.
func latencies(ctx context.Context, l *train.Loaded) ([]float64, error) {
	var took []float64
	last := time.Time{}
	tick := func() {
		now := time.Now()
		if !last.IsZero() {
			took = append(took, now.Sub(last).Seconds())
		}
		last = now
	}
	if l.Config.Model.Kind == "decoder" {
		n := decodeTokens
		if l.Config.Model.Positions == "learned" {
			n = min(n, l.Session.Dims().Context-1)
		}
		if n < 2 {
			return nil, nil
		}
		err := l.Session.Generate(ctx, [][]int{{0}}, model.GenerateOptions{Tokens: n}, func(int, int) error { tick(); return nil })
		return took, err
	}
	p, err := l.Session.Score(1, l.Session.Dims().Context)
	if err != nil {
		return nil, err
	}
	feed := oneRow(l, p)
	for range decodeTokens {
		feed()
		if err := p.Run(); err != nil {
			return nil, err
		}
		tick()
	}
	return took, nil
}

// oneRow gives a program of one row an input of full size: an image, a text with a label or a text with masked tokens.
func oneRow(l *train.Loaded, p *model.Program) (feed func()) {
	tokens, lengths := make([]int, p.SeqLen), []int{p.SeqLen}
	switch f := l.Images; {
	case f != nil:
		x := model.Images{Pixels: make([]float32, f.Channels*f.Side*f.Side), Labels: []int{0}}
		return func() { p.FeedImages(x) }
	case l.Labels != nil:
		x := model.Examples{Tokens: tokens, Lengths: lengths, Labels: []int{0}, Scores: []float64{0}}
		return func() { p.FeedExamples(x) }
	}
	n := model.MaskedTokens(p.SeqLen)
	x := model.Masked{Tokens: tokens, Lengths: lengths, Rows: make([]int, n), Targets: make([]int, n)}
	return func() { p.FeedMasked(x) }
}

// median is the middle value, 0 of none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}
