package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"sparrow/internal/measure"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/saved"
	"sparrow/task"
)

// Performance is what using a model costs and how good it is.
type Performance struct {
	Quality     *Quality `json:"quality"`
	PerSecond   float64  `json:"per_second"` // tokens or examples, when scoring batches of the validation split
	Latency     float64  `json:"latency_ms"`
	LatencyOf   string   `json:"latency_of"`       // "decoded token" or, where no text is written, a "text" or an "image" alone
	Weights     int      `json:"weight_bytes"`     // in memory, in few bits where using the model keeps them so
	Activations int      `json:"activation_bytes"` // of one scoring run
	Disk        int64    `json:"disk_bytes"`       // of model.npz
}

const (
	rounds       = 3  // both models are measured so often, in turn
	decodeTokens = 24 // of a round; also runs of one batch
)

// compare measures two models on the same data, that of the first, in turn, so that what else the machine does hits both. Times
// are medians.
func compare(ctx context.Context, before, after *saved.Model, out io.Writer) (*Performance, *Performance, error) {
	goal, rows := before.Task, before.Config.Train.BatchSize
	facts := goal.Facts()
	perBatch := facts.PerBatch
	both := [2]*saved.Model{before, after}
	found := [2]*Performance{{}, {}}
	var batches, steps [2][]float64
	for round := range rounds {
		for i, l := range both {
			var clock stopwatch
			m := task.Measure{}
			if round > 0 {
				m = forTheClock(goal)
			}
			e := &estimate{out: out, models: len(both) - i, began: time.Now()}
			m.After = func(done, total int, loss float64) {
				clock.tick() // the first batch prepares the program
				if round == 0 {
					e.after(done, total, loss)
				}
			}
			score, err := goal.Evaluate(ctx, l.Session, m)
			e.close()
			if err != nil {
				return nil, nil, err
			}
			if len(clock.took) == 0 { // the data is a batch or less
				if clock.took, err = again(ctx, goal, l.Session); err != nil {
					return nil, nil, err
				}
			}
			batches[i] = append(batches[i], clock.took...)
			if round == 0 {
				found[i].Quality = qualityOf(score)
				fmt.Fprintf(out, "%s: %s\n", l.Dir, score.Summary(goal))
			}
			took, err := latencies(ctx, goal, l)
			if err != nil {
				return nil, nil, err
			}
			steps[i] = append(steps[i], took...)
		}
	}
	for i, l := range both {
		p := found[i]
		if t := measure.Median(batches[i]); t > 0 {
			p.PerSecond = float64(perBatch) / t
		}
		if p.LatencyOf = facts.Each; len(steps[i]) > 0 {
			p.Latency = 1e3 * measure.Median(steps[i])
		}
		if _, writes := goal.(task.Generator); writes {
			p.LatencyOf = "decoded token"
		}
		_, length := goal.Longest()
		program, err := l.Session.Program(model.Score, l.Dims.Shape(rows, length))
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

// forTheClock is of a round that measures speed alone: it evaluates some batches.
func forTheClock(goal task.Task) task.Measure {
	const some = 8
	return task.Measure{Limit: some * goal.Facts().PerBatch}
}

// again are the seconds of runs of the first batch alone, which is as large as any: rows that it lacks are padding.
func again(ctx context.Context, goal task.Task, s *model.Session) ([]float64, error) {
	batches, err := task.Batches(ctx, goal, s, task.Feed{Mode: model.Score})
	if err != nil {
		return nil, err
	}
	p, _, err := batches.Next()
	if err != nil {
		return nil, err
	}
	var clock stopwatch
	for range decodeTokens {
		if err := p.Run(); err != nil {
			return nil, err
		}
		clock.tick()
	}
	return clock.took, nil
}

// stopwatch takes the seconds between one tick and the next.
type stopwatch struct {
	last time.Time
	took []float64
}

func (s *stopwatch) tick() {
	now := time.Now()
	if !s.last.IsZero() {
		s.took = append(s.took, now.Sub(s.last).Seconds())
	}
	s.last = now
}

// latencies are the seconds of single decoded tokens or, where the task writes no text, of runs of a batch with one row: the
// longest of a few.
func latencies(ctx context.Context, goal task.Task, l *saved.Model) ([]float64, error) {
	var clock stopwatch
	if _, writes := goal.(task.Generator); writes {
		n := decodeTokens
		if most := l.Config.Longest(); most > 0 {
			n = min(n, most-1)
		}
		if n < 2 {
			return nil, nil
		}
		err := decode.Generate(ctx, l.Session, [][]int{{0}}, decode.Request{Tokens: n}, func(int, int) error { clock.tick(); return nil })
		return clock.took, err
	}
	p, err := oneRow(ctx, goal, l.Session)
	if err != nil {
		return nil, err
	}
	for range decodeTokens {
		if err := p.Run(); err != nil {
			return nil, err
		}
		clock.tick()
	}
	return clock.took, nil
}

// oneRow is a program that a batch of one row was fed to. Data in order is so by its length: of some rows the last is the longest.
func oneRow(ctx context.Context, goal task.Task, s *model.Session) (*model.Program, error) {
	const some = 8
	facts := goal.Facts()
	batches, err := task.Batches(ctx, goal, s, task.Feed{Mode: model.Score, Rows: 1, Limit: some * facts.PerRow})
	if err != nil {
		return nil, err
	}
	var p *model.Program
	for range batches.Batches() {
		if p, _, err = batches.Next(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// quality measures the source and what was made of it, unless the config says not to. Data that cannot be had is no error.
func (s *compression) quality(ctx context.Context, final string, r *Result) (err error) {
	if s.cfg.Unmeasured {
		return nil
	}
	if r.Before, err = s.measure(ctx, s.loaded, 2); err == nil {
		r.Compressed, err = s.measureAt(ctx, final, 1)
	}
	if errors.Is(err, task.ErrUsage) {
		fmt.Fprintf(s.out, "not measured: %v\n", err)
		return nil
	}
	return err
}

// measureAt measures a checkpoint as measure does.
func (s *compression) measureAt(ctx context.Context, dir string, models int) (*Quality, error) {
	l, err := saved.Open(dir, false, model.Options{}, s.cfg.Compress.Known)
	if err != nil {
		return nil, err
	}
	return s.measure(ctx, l, models)
}

// measure evaluates a model on the validation split, as model eval does: the first of so many models that will be.
func (s *compression) measure(ctx context.Context, l *saved.Model, models int) (*Quality, error) {
	e := &estimate{out: s.out, models: models, began: time.Now()}
	defer e.close()
	score, err := s.loaded.Task.Evaluate(ctx, l.Session, task.Measure{After: e.after})
	if err != nil {
		return nil, err
	}
	e.close()
	fmt.Fprintf(s.out, "%s: %s\n", l.Dir, score.Summary(s.loaded.Task))
	return qualityOf(score), nil
}

// estimate tells of a long evaluation, after its first batches, how long it will take, and then shows how it goes.
type estimate struct {
	out    io.Writer
	models int // that are measured alike, this one included
	began  time.Time
	first  time.Duration // of the first batch, which builds the graph
	shown  *progress.Progress
}

// after is told of every batch.
func (e *estimate) after(done, total int, loss float64) {
	switch {
	case done == 1:
		e.first = time.Since(e.began)
	case done == 2:
		each := time.Since(e.began) - e.first
		all := time.Duration(e.models) * (e.first + each*time.Duration(total-1))
		if all < patience {
			return
		}
		fmt.Fprintf(e.out, "measuring: %d batches, about %s in all; --no-eval leaves that out\n", e.models*total, all.Round(time.Second))
		e.shown = progress.New(e.out, total, done-1)
		if math.IsNaN(loss) {
			e.shown.Plain()
		}
	}
	if e.shown != nil {
		e.shown.Step(done, loss, 0)
	}
}

func (e *estimate) close() {
	if e.shown != nil {
		e.shown.Close()
		e.shown = nil
	}
}

// Likeness is how much the result says what the source says, of the same rows.
type Likeness struct {
	KL        float64 `json:"mean_kl"`        // mean over rows of sum p log(p / q), in nats: p is the source's distribution, q the result's
	Agreement float64 `json:"top1_agreement"` // share of rows whose likeliest token or class is the same
	Rows      int     `json:"rows"`           // tokens or examples
}

// likenessBatches are how many batches of the validation split two models are asked about.
const likenessBatches = 16

// likeness asks two models about the same rows; nil: they give no distributions.
func likeness(ctx context.Context, goal task.Task, models ...*saved.Model) (*Likeness, error) {
	if _, ok := goal.(task.Stepped); !ok {
		return nil, nil
	}
	var streams [2]task.Stream
	for i, l := range models {
		o := model.Options{Sites: []string{"logits"}}
		_, o.Packed = l.Session.Store().Quantized()
		base := ""
		if l.Base != nil {
			base = l.Base.Dir()
		}
		own, err := saved.OpenOn(l.Dir, base, false, o, l.Known)
		if errors.Is(err, model.ErrNoSite) { // vectors
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		streams[i], err = task.Batches(ctx, goal, own.Session, task.Feed{Mode: model.Score, Limit: likenessBatches * goal.Facts().PerBatch})
		if errors.Is(err, model.ErrNoSite) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	var found Likeness
	for range streams[0].Batches() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var rows [2]model.Rows
		var p *model.Program
		for i := range streams {
			var err error
			if p, _, err = streams[i].Next(); err == nil {
				err = p.Run()
			}
			if errors.Is(err, model.ErrNoSite) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			rows[i] = p.Output("logits")
		}
		if rows[0].Width < 2 || !p.Has("targets") {
			return nil, nil // a regression
		}
		found.add(rows[0], rows[1], p.Ints("targets"))
	}
	if found.Rows > 0 {
		found.KL, found.Agreement = found.KL/float64(found.Rows), found.Agreement/float64(found.Rows)
	}
	return &found, nil
}

// add takes rows of scores with a target.
func (f *Likeness) add(before, after model.Rows, targets []int) {
	row, p, q := make([]float32, before.Width), make([]float64, before.Width), make([]float64, before.Width)
	for i, t := range targets {
		if t < 0 || i >= before.Count {
			continue
		}
		logProbabilities(p, before.Row(row, i))
		logProbabilities(q, after.Row(row, i))
		best, other := 0, 0
		for j := range p {
			f.KL += math.Exp(p[j]) * (p[j] - q[j])
			if p[j] > p[best] {
				best = j
			}
			if q[j] > q[other] {
				other = j
			}
		}
		if best == other {
			f.Agreement++
		}
		f.Rows++
	}
}

// logProbabilities are log softmax of scores.
func logProbabilities(dst []float64, scores []float32) {
	most := float64(slices.Max(scores))
	var sum float64
	for _, v := range scores {
		sum += math.Exp(float64(v) - most)
	}
	for i, v := range scores {
		dst[i] = float64(v) - most - math.Log(sum)
	}
}

// Sample is what the source and the result make of one input.
type Sample struct {
	Input  string `json:"input"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// written is how many tokens a sample has where the config does not say what to write.
const written = 60

// samples are what two models write after the config's prompt, or after the beginning of the validation text where there is none, or
// what they say of the beginning of a text of the validation split.
func samples(ctx context.Context, goal task.Task, models ...*saved.Model) ([]Sample, error) {
	suggests, ok := goal.(task.Suggester)
	if !ok {
		return nil, nil
	}
	var said [2]string
	var input string
	for i, l := range models {
		x, err := suggests.Suggest(ctx, l.Session)
		if err != nil {
			return nil, err
		}
		writer, writes := goal.(task.Generator)
		predictor, predicts := goal.(task.Predictor)
		switch {
		case x.Sample != "":
			input, said[i] = l.Config.Sample.Prompt, x.Sample
		case writes && x.Command == "generate" && len(x.Args) > 1:
			input = x.Args[1]
			if said[i], err = continued(ctx, writer, l, input); err != nil {
				return nil, err
			}
		case predicts && x.Command == "predict" && len(x.Args) == 1 && predictor.Reads() == task.OneText:
			input = x.Args[0]
			all, err := predictor.Predict(ctx, l.Session, []task.Input{{Texts: x.Args}})
			if err != nil {
				return nil, err
			}
			for j, v := range all[0][:min(3, len(all[0]))] {
				if j > 0 {
					said[i] += ", "
				}
				said[i] += fmt.Sprintf("%s %.3f", v.Name, v.X)
			}
		default:
			return nil, nil
		}
	}
	return []Sample{{input, said[0], said[1]}}, nil
}

// continued is a prompt with what a model writes after it, the likeliest token each time.
func continued(ctx context.Context, g task.Generator, l *saved.Model, prompt string) (string, error) {
	ids, err := g.Tokenizer().Encode(prompt)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	r := decode.Request{Tokens: l.Config.Room(len(ids), written), Stop: decode.StopAt(g.Ends()...)}
	err = decode.Generate(ctx, l.Session, [][]int{ids}, r, func(_, token int) error {
		ids = append(ids, token)
		return nil
	})
	return g.Tokenizer().Decode(ids), err
}
