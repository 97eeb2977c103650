package main

import (
	"bytes"
	"math"
	"slices"

	"sparrow/metrics/chart"
)

// figure draws what the claim is about: the costs of a sweep over its sizes; the
// losses of compressed networks over their bytes;
// accuracy of classifiers over the parameters of their attention, of those of
// images on spoilt ones over that on clean ones; loss over
// the cache if an expectation is of that, over parameters if one is of the loss;
// else a bar of peak memory for each arm.
func (o *outcome) figure() ([]byte, error) {
	expects := func(f func(Expect) bool) bool { return slices.ContainsFunc(o.claim.Expect, f) }
	c := chart.Chart{Title: o.claim.Title}
	switch {
	case o.claim.Sweep != nil:
		o.drawSweep(&c)
	case o.claim.Compress != nil:
		o.drawFrontiers(&c)
	case o.claim.seesImages():
		c.XLabel, c.YLabel = "test accuracy", "accuracy on spoilt test images"
		o.drawMeans(&c, "corruption_accuracy", "accuracy")
	case o.claim.classifies():
		c.XLabel, c.YLabel = "parameters of the attention", "test accuracy"
		o.drawMeans(&c, "accuracy", "attention_parameters")
	case expects(func(e Expect) bool { return e.Of == "cache_bytes" }):
		c.XLabel, c.YLabel = "cache (bytes a token)", "validation loss (nats)"
		o.drawMeans(&c, "loss", "cache_bytes")
	case expects(func(e Expect) bool { return !metrics[e.Of].exact }):
		c.XLabel, c.YLabel = "parameters", "validation loss (nats)"
		o.drawMeans(&c, "loss", "parameters")
	default:
		return o.drawMemory()
	}
	var svg bytes.Buffer
	err := c.Write(&svg)
	return svg.Bytes(), err
}

// drawMeans marks each arm's mean of a metric with its standard error, and its
// seeds in a pale colour, over another metric.
func (o *outcome) drawMeans(c *chart.Chart, metric, over string) {
	low, high := math.Inf(1), math.Inf(-1)
	for i, a := range o.arms {
		mean, spread, ok := a.mean(metric)
		if !ok {
			continue // the table tells of it
		}
		x, _, _ := a.mean(over)
		low, high = min(low, x), max(high, x)
		seeds := chart.Line{Look: i, Pale: true}
		for _, r := range a.Runs {
			seeds.X, seeds.Y = append(seeds.X, metrics[over].value(r)), append(seeds.Y, metrics[metric].value(r))
		}
		if math.IsNaN(spread) {
			spread = 0 // one seed
		}
		c.Lines = append(c.Lines, seeds, chart.Line{Name: a.Label, X: []float64{x}, Y: []float64{mean}, Errors: []float64{spread}, Look: i, Dash: chart.None})
	}
	c.LogX = low > 0 && high > 2*low
	c.Notes = []string{"bars: standard errors; pale: seeds"}
}

// drawMemory draws a bar for each arm.
func (o *outcome) drawMemory() ([]byte, error) {
	c := chart.Bars{Title: o.claim.Title, XLabel: "peak resident memory of the training process (MB)", Format: "%.0f"}
	for _, a := range o.arms {
		c.Names, c.Values = append(c.Names, a.Label), append(c.Values, float64(a.peakMemory())/1e6)
	}
	var svg bytes.Buffer
	err := c.Write(&svg)
	return svg.Bytes(), err
}
