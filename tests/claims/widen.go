package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// mostWider is by how many learning rates an arm's grid may grow on its way to a best one that is not at an edge.
const mostWider = 4

// leastGrid is of how many learning rates a grid is at least of which the best is to lie within: fewer are a choice, no search.
const leastGrid = 3

// grid is what was tried for an arm, by ascending learning rate.
type grid struct {
	rates   []float64
	results []Result
}

// gridsOf sorts what was tried, for each of n arms the same learning rates.
func (c *Claim) gridsOf(n int, results []Result) []grid {
	grids := make([]grid, n)
	for i := range grids {
		for k, rate := range c.LearningRates {
			grids[i].add(rate, results[i*len(c.LearningRates)+k])
		}
	}
	return grids
}

// add puts a result where its rate belongs.
func (g *grid) add(rate float64, r Result) {
	at, _ := slices.BinarySearch(g.rates, rate)
	g.rates, g.results = slices.Insert(g.rates, at, rate), slices.Insert(g.results, at, r)
}

// beyond is the learning rate that comes next where the best one is at an edge, as far from it as its neighbour is; 0: it lies
// within, or too few were asked for.
func (g grid) beyond(asked int) float64 {
	if asked < leastGrid || len(g.rates) >= asked+mostWider {
		return 0
	}
	last := len(g.rates) - 1
	at := max(0, best(g.results)) // if all diverged, lower ones are left
	edge, next := g.rates[at], 0.0
	switch at {
	case 0:
		next = g.rates[1]
	case last:
		next = g.rates[last-1]
	default:
		return 0
	}
	rate, _ := strconv.ParseFloat(strconv.FormatFloat(edge*edge/next, 'g', 2, 64), 64) // as one would write it
	return rate
}

// widen tries further learning rates for the arms whose best is at an edge, until it is not. try makes one run for each given arm at
// its rate.
func widen(ctx context.Context, grids []grid, asked int, try func(ctx context.Context, arms []int, rates []float64) ([]Result, error)) error {
	for {
		var arms []int
		var rates []float64
		for i, g := range grids {
			if rate := g.beyond(asked); rate > 0 {
				arms, rates = append(arms, i), append(rates, rate)
			}
		}
		if len(arms) == 0 {
			return nil
		}
		results, err := try(ctx, arms, rates)
		if err != nil {
			return err
		}
		for k, i := range arms {
			grids[i].add(rates[k], results[k])
		}
	}
}

// choose is the arm's learning rate, from a run with each, and what they gave.
func (c *Claim) choose(g grid) (float64, []tried) {
	var table []tried
	for i, r := range g.results {
		t := tried{LearningRate: g.rates[i]}
		if r.Diverged == "" {
			t.Loss = &g.results[i].Loss
			if c.classifies() {
				t.Accuracy = &g.results[i].ValidationAccuracy
			}
		}
		table = append(table, t)
	}
	return g.rates[max(0, best(g.results))], table
}

// tuningTable has the loss, or the validation accuracy, of each arm at each learning rate, and says of which arms the best one is at
// the edge of what was tried.
func (o *outcome) tuningTable(b *strings.Builder) {
	var rates []float64
	for _, a := range o.arms {
		for _, t := range a.Tuning {
			rates = append(rates, t.LearningRate)
		}
	}
	if len(rates) == 0 {
		return
	}
	slices.Sort(rates)
	rates = slices.Compact(rates)
	what := "loss, nats"
	if o.claim.classifies() {
		what = "accuracy on the validation split"
	}
	fmt.Fprintf(b, "Learning rates, with seed %d and half the steps (%s); - was not tried:\n\n| network |", tuningSeed, what)
	for _, rate := range rates {
		fmt.Fprintf(b, " %g |", rate)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(rates)) + "\n")
	var edges []string
	for _, a := range o.arms {
		fmt.Fprintf(b, "| %s |", a.Label)
		for _, rate := range rates {
			at := slices.IndexFunc(a.Tuning, func(t tried) bool { return t.LearningRate == rate })
			switch {
			case at < 0:
				b.WriteString(" - |")
			case a.Tuning[at].Loss == nil:
				b.WriteString(" diverged |")
			case a.Tuning[at].Accuracy != nil:
				fmt.Fprintf(b, " %.2f%% |", 100**a.Tuning[at].Accuracy)
			default:
				fmt.Fprintf(b, " %.4f |", *a.Tuning[at].Loss)
			}
		}
		b.WriteString("\n")
		if a.atEdge() {
			edges = append(edges, fmt.Sprintf("%s (%g)", a.Label, a.LearningRate))
		}
	}
	b.WriteString("\n")
	if len(edges) > 0 {
		fmt.Fprintf(b, "The best rate is at the edge of what was tried, so that another may be better, for %s.\n\n", strings.Join(edges, ", "))
	}
}

// atEdge tells whether the arm's learning rate is the least or the largest that was tried.
func (a armRuns) atEdge() bool {
	if len(a.Tuning) == 0 {
		return false
	}
	less, more := false, false
	for _, t := range a.Tuning {
		less, more = less || t.LearningRate < a.LearningRate, more || t.LearningRate > a.LearningRate
	}
	return !less || !more
}
