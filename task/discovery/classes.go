package discovery

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/discover"
	"sparrow/factor"
	"sparrow/model"
	"sparrow/task"
)

// Options say how to look for classes.
type Options struct {
	discover.Config
	Truth string // where the data tells the true classes, which only score what was found; "": nowhere

	// After, if not nil, is told how many of all examples the network has read.
	After func(done, total int)
}

// Classes are what was found.
type Classes struct {
	*discover.Found
	Examples []task.Listed
	Said     *factor.Matrix // [n, r]: p(d|x), calibrated
	Files    map[string][]byte

	Loss, Calibrated float64 // of the domain, mean -log p over held out examples, before and after the temperature
	Chance           float64 // the same of an answer that knows only how large the domains are

	// Of what the truth says, if it was asked for.
	Truths   []string // true classes, sorted; nil: not asked for
	Accuracy float64
	Of       []int   // true class of each class; -1: none is left for it
	Distance float64 // mean over domains of sum |found - true| shares
}

// Discover runs the network on all examples and looks for classes in what it says. What the data cannot tell is a
// *discover.Refusal.
func (t *Task) Discover(ctx context.Context, s *model.Session, o Options) (*Classes, error) {
	all, err := t.List(ctx, o.Truth)
	if err != nil {
		return nil, err
	}
	said, err := t.read(ctx, s, all, o.After)
	if err != nil {
		return nil, err
	}
	return find(ctx, all, t.Inner.Names(), said, nil, o)
}

// find looks for classes in what is said of the domains of examples, by the head or, without one, by the network itself.
func find(ctx context.Context, all []task.Listed, names []string, said *factor.Matrix, head *discover.Head, o Options) (c *Classes, err error) {
	c = &Classes{Examples: all, Said: said}
	samples := discover.Samples{Names: names, Posterior: c.Said, Domain: make([]int, len(all)), Held: make([]bool, len(all)), Sizes: make([]int, len(names))}
	var held []int
	for i, x := range all {
		d := slices.Index(names, x.Label)
		samples.Domain[i], samples.Held[i] = d, x.Held
		if x.Held {
			held = append(held, i)
		} else {
			samples.Sizes[d]++
		}
	}
	temperature := c.calibrate(samples, held)
	discover.Temper(c.Said, temperature)
	if c.Found, err = discover.Find(ctx, samples, o.Config); err != nil {
		return nil, err
	}
	c.Found.Model.Temperature, c.Found.Model.Head = temperature, head
	if c.Calibrated > c.Chance-0.01 {
		c.Notes = append(c.Notes, fmt.Sprintf("the network barely tells domains apart: a loss of %.3f, where their sizes alone give %.3f; train it longer, or from a better start", c.Calibrated, c.Chance))
	}
	c.Files = map[string][]byte{classesFile: task.JSONFile(c.Found.Model)}
	if o.Truth != "" {
		c.score(samples.Domain)
	}
	return c, nil
}

// read is what the network says of the domain of each example. Those of similar length are read together.
func (t *Task) read(ctx context.Context, s *model.Session, all []task.Listed, after func(done, total int)) (*factor.Matrix, error) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(all[b].Text), len(all[a].Text)) })
	said := make([]task.Prediction, len(all))
	for first := 0; first < len(order); first += task.PredictBatch {
		some := order[first:min(first+task.PredictBatch, len(order))]
		in := make([]task.Input, len(some))
		for i, at := range some {
			if in[i].Texts = []string{all[at].Text}; all[at].Image != nil {
				in[i] = task.Input{Image: bytes.NewReader(all[at].Image)}
			}
		}
		answers, err := t.Inner.Predict(ctx, s, in)
		if err != nil {
			return nil, err
		}
		for i, at := range some {
			said[at] = answers[i]
		}
		if after != nil {
			after(first+len(some), len(all))
		}
	}
	return matrixOf(said, t.Inner.Names()), nil
}

// calibrate finds the temperature on held out examples.
func (c *Classes) calibrate(s discover.Samples, held []int) (temperature float64) {
	p := factor.NewMatrix(len(held), c.Said.Cols)
	domain := make([]int, len(held))
	counts := make([]float64, c.Said.Cols)
	for i, at := range held {
		copy(p.Row(i), c.Said.Row(at))
		domain[i] = s.Domain[at]
		counts[domain[i]]++
	}
	for _, n := range counts {
		if n > 0 {
			share := n / float64(len(held))
			c.Chance -= share * math.Log(share)
		}
	}
	temperature, c.Loss, c.Calibrated = discover.Calibrate(p, domain)
	return temperature
}

// score compares with the true classes.
func (c *Classes) score(domain []int) {
	for _, x := range c.Examples {
		if at, known := slices.BinarySearch(c.Truths, x.Truth); !known {
			c.Truths = slices.Insert(c.Truths, at, x.Truth)
		}
	}
	truth := make([]int, len(c.Examples))
	counts := factor.NewMatrix(len(c.Truths), len(c.Model.Domains))
	sizes := make([]float64, len(c.Model.Domains))
	for i, x := range c.Examples {
		truth[i], _ = slices.BinarySearch(c.Truths, x.Truth)
		counts.Row(truth[i])[domain[i]]++
		sizes[domain[i]]++
	}
	c.Accuracy, c.Of = discover.Accuracy(c.Label, truth, len(c.Model.Classes), len(c.Truths))
	for y, z := range c.Of {
		for d, n := range sizes {
			if z >= 0 && n > 0 {
				c.Distance += math.Abs(c.Model.Prior[y][d]-counts.Row(z)[d]/n) / float64(len(sizes))
			}
		}
	}
}
