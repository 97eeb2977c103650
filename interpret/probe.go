package interpret

import (
	"context"
	"fmt"
	"math"

	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// probes run contexts through the upper part of a decoder, from the states below a layer on, which are computed once, with
// something added at a site to every token; and compare what comes next with what would have.
type probes struct {
	site   string
	upper  *model.Session
	states [][]float32 // of each batch: what the block before the layer puts out [B*T, D]; nil: the layer is the first
	texts  [][][]int   // contexts of equal length, in batches
	base   [][]float64 // log-probabilities of the next token of each context, nothing added
	runs   int         // batches that have been run with something added
}

// probeBatch is how many contexts run at once.
const probeBatch = 32

// newProbes prepares to add at a site of a layer.
func newProbes(ctx context.Context, l *saved.Model, layer int, site string, contexts [][]int) (*probes, error) {
	body, ok := l.Config.Model.Body().(model.Resumed)
	if _, writes := l.Task.(task.Generator); !ok || !writes {
		return nil, task.Refusef("%s writes no text, so that nothing steers it; want a decoder", l.Dir)
	}
	if len(contexts) == 0 {
		return nil, task.Refusef("no contexts to measure on")
	}
	p := &probes{site: site}
	for len(contexts) > 0 {
		n := min(probeBatch, len(contexts))
		p.texts, contexts = append(p.texts, contexts[:n]), contexts[n:]
	}
	whole, ok := l.Session.Network().(model.Language)
	if !ok {
		return nil, task.Refusef("%s is no plain language model; want a decoder", l.Dir)
	}
	ends := model.Ends(whole)
	if layer > 0 {
		ends.Body = body.From(layer)
	}
	store := l.Session.Store()
	var err error
	if p.upper, err = model.NewSession(ends, store, l.Config.Model.Represented(model.Options{Packed: store.Packed})); err != nil {
		return nil, err
	}
	if layer > 0 {
		below, err := blockOf(l, layer-1)
		if err != nil {
			return nil, err
		}
		lower, err := l.Session.Another() // whoever else uses the model's own session
		if err != nil {
			return nil, err
		}
		for _, texts := range p.texts {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			program, err := lower.Program(model.Score, shapeOf(texts), below.Output)
			if err != nil {
				return nil, err
			}
			feed(program, texts)
			if err := program.Run(); err != nil {
				return nil, err
			}
			rows := program.Site(below.Output)
			states := make([]float32, rows.Count*rows.Width)
			for i := range rows.Count {
				rows.Row(states[i*rows.Width:], i)
			}
			p.states = append(p.states, states)
		}
	}
	err = p.run(ctx, nil, 0, func(_ int, logp []float64) { p.base = append(p.base, append([]float64(nil), logp...)) })
	p.runs = 0
	return p, err
}

func shapeOf(texts [][]int) model.Shape {
	return model.Shape{Rows: len(texts), Length: len(texts[0])}
}

// run adds alpha times a direction and calls each with the log-probabilities of the next token of each context. Scores that are no
// numbers are errBroken.
func (p *probes) run(ctx context.Context, direction []float64, alpha float64, each func(i int, logp []float64)) error {
	at := 0
	for b, texts := range p.texts {
		if err := ctx.Err(); err != nil {
			return err
		}
		program, err := p.upper.Program(model.Score, shapeOf(texts), model.AddTo(p.site))
		if err != nil {
			return err
		}
		feed(program, texts)
		if p.states != nil {
			program.Floats("states").Set(p.states[b])
		}
		leaf := program.Floats(model.AddedLeaf(p.site))
		for i := range leaf.Count {
			for j := range leaf.Width {
				x := 0.0
				if direction != nil {
					x = alpha * direction[j]
				}
				leaf.Put(i, j, x)
			}
		}
		p.runs++
		if err := program.Run(); err != nil {
			return err
		}
		logits := program.Output("logits")
		row := make([]float32, logits.Width)
		logp := make([]float64, logits.Width)
		for i := range texts {
			row = logits.Row(row, i)
			if err := logProbabilities(logp, row); err != nil {
				return err
			}
			each(at, logp)
			at++
		}
	}
	return nil
}

// errBroken says that what was added is more than the network's numbers hold.
var errBroken = fmt.Errorf("interpret: with so much added the scores are no numbers")

// logProbabilities are the logarithms of softmax(scores).
func logProbabilities(dst []float64, scores []float32) error {
	top := math.Inf(-1)
	for _, x := range scores {
		if x-x != 0 {
			return errBroken
		}
		top = max(top, float64(x))
	}
	sum := 0.0
	for i, x := range scores {
		dst[i] = float64(x) - top
		sum += math.Exp(dst[i])
	}
	lse := math.Log(sum)
	for i := range dst {
		dst[i] -= lse
	}
	return nil
}

// divergence is the mean over contexts of KL(p0 || p) in nats with alpha times a direction added.
func (p *probes) divergence(ctx context.Context, direction []float64, alpha float64) (float64, error) {
	sum, n := 0.0, 0
	err := p.run(ctx, direction, alpha, func(i int, logp []float64) {
		for j, base := range p.base[i] {
			sum += math.Exp(base) * (base - logp[j])
		}
		n++
	})
	return sum / float64(n), err
}
