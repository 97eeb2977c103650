package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"sparrow/internal/measure"
)

// Point is what all arms took at one size and batch, in turn.
type Point struct {
	Size      int        `json:"size"`
	Batch     int        `json:"batch"`
	Bandwidth []float64  `json:"bandwidth,omitempty"` // of memory, bytes a second, a round; of decode
	Peak      []float64  `json:"peak,omitempty"`      // of all threads, FLOPs a second, a round; of decode
	Threads   int        `json:"threads"`
	Arms      []ArmPoint `json:"arms"`
	Commit    string     `json:"commit"`
	Code      string     `json:"code,omitempty"` // hash of the packages that it ran; "": it was not kept
	measure   string     // of the sweep
	images    bool       // sizes are sides of images
}

// ArmPoint is one arm at one size and batch.
type ArmPoint struct {
	Arm        string    `json:"arm"`
	Parameters int       `json:"parameters"`
	Seconds    []float64 `json:"seconds"`         // a round
	Memory     int       `json:"memory"`          // that the process took for it at most, bytes; 0: not known
	Bytes      float64   `json:"bytes,omitempty"` // that must be read at least; 0: not known
	FLOPs      float64   `json:"flops,omitempty"` // that must be computed; 0: not known
}

// rounds is how often each arm was timed.
func (p Point) rounds() int { return len(p.Arms[0].Seconds) }

// tokens is how many are computed at once; of images, how many of them.
func (p Point) tokens() int {
	if p.measure == "decode" || p.images {
		return p.Batch
	}
	return p.Batch * p.Size
}

// amount is the size that exponents are of: tokens, or the pixels of an image.
func (p Point) amount() float64 {
	if p.images {
		return float64(p.Size * p.Size)
	}
	return float64(p.Size)
}

// arm finds an arm's part.
func (p Point) arm(name string) ArmPoint {
	return p.Arms[slices.IndexFunc(p.Arms, func(a ArmPoint) bool { return a.Arm == name })]
}

// roofline is the share that the arm reaches of what memory and arithmetic allow, in one round.
func (p Point) roofline(a ArmPoint, round int) float64 {
	return max(a.Bytes/p.Bandwidth[round], a.FLOPs/p.Peak[round]) / a.Seconds[round]
}

// String is the expectation as a sentence.
func (e SweepExpect) String() string {
	of, where := strings.ReplaceAll(e.Of, "_", " "), ""
	if e.Batch > 0 {
		where = fmt.Sprintf(" with batch %d", e.Batch)
	}
	var s string
	switch e.Measure {
	case "exponent":
		if e.From > 0 {
			where = fmt.Sprintf(" from %d on%s", e.From, where)
		}
		s = fmt.Sprintf("exponent of %s of %s in the size%s", of, e.Arm, where)
	case "ratio":
		s = fmt.Sprintf("%s of %s over that of %s at %d%s", of, e.Arm, e.Than, e.At, where)
	case "roofline":
		s = fmt.Sprintf("share of its roofline that %s reaches at %d%s", e.Arm, e.At, where)
	}
	return s + e.Bound.String()
}

// Evaluate measures the expectation in every round; the median counts.
func (e SweepExpect) Evaluate(points []Point) Finding {
	f := Finding{Expect: e.String(), Verdict: Inconclusive}
	if e.bound() == nil {
		f.Verdict = Reported
	}
	var mine []Point
	for _, p := range points {
		if (e.Batch == 0 || p.Batch == e.Batch) && (e.Measure == "exponent" && p.Size >= e.From || p.Size == e.At) {
			mine = append(mine, p)
		}
	}
	if e.Of == "memory" {
		for _, p := range mine {
			if p.arm(e.Arm).Memory <= 0 || e.Than != "" && p.arm(e.Than).Memory <= 0 {
				f.Reason = fmt.Sprintf("memory at %d is not known: the system does not tell, or it is less than the program's own", p.Size)
				return f
			}
		}
	}
	var values []float64
	for i := range mine[0].rounds() {
		values = append(values, e.value(mine, i))
	}
	value, spread := medianOf(values)
	f.Value, f.Error = finite(value), finite(spread)
	e.settle(&f, value, spread, len(values), "rounds")
	return f
}

// value is the measure of one round.
func (e SweepExpect) value(points []Point, round int) float64 {
	of := sweepMetrics[e.Of]
	p := points[0]
	switch e.Measure {
	case "ratio":
		return of(p, p.arm(e.Arm), round) / of(p, p.arm(e.Than), round)
	case "roofline":
		return p.roofline(p.arm(e.Arm), round)
	}
	var x, y []float64
	for _, p := range points {
		x = append(x, math.Log(p.amount()))
		y = append(y, math.Log(of(p, p.arm(e.Arm), round)))
	}
	return slope(x, y)
}

// slope is that of the line through points by least squares.
func slope(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	return xy / xx
}

// medianOf is the median and its standard error, sqrt(pi/2) s / sqrt(n) of normal errors, with s from the median absolute
// deviation, 1.4826 MAD, because a busy machine makes outliers (Rousseeuw and Croux 1993). The error of one value is not
// known, NaN.
func medianOf(values []float64) (value, spread float64) {
	value = measure.Median(values)
	if len(values) < 2 {
		return value, math.NaN()
	}
	deviations := make([]float64, len(values))
	for i, x := range values {
		deviations[i] = math.Abs(x - value)
	}
	return value, math.Sqrt(math.Pi/2) * 1.4826 * measure.Median(deviations) / math.Sqrt(float64(len(values)))
}
