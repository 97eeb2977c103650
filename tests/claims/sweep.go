package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/recipe"
)

// Sweep is the [sweep] table: the claim is about cost, and its arms are measured at several sizes in place of being
// trained. [run] holds what the arms have in common; of it only [run.model] counts.
type Sweep struct {
	Measure   string        `toml:"measure"`    // of sweepMeasures: what is timed
	Sizes     []int         `toml:"sizes"`      // what the costs are a function of: tokens, or the side of images in pixels
	Batches   []int         `toml:"batches"`    // sequences or images at once; each is a sweep of its own
	Rounds    int           `toml:"rounds"`     // turns of all arms at a size; medians over them count
	VocabSize int           `toml:"vocab_size"` // tokens, or classes of images
	Expect    []SweepExpect `toml:"expect"`
}

// SetDefaults implements configs.Defaulter.
func (s *Sweep) SetDefaults() { *s = Sweep{Batches: []int{1}, Rounds: 9, VocabSize: 256} }

// sweepMeasures is what can be timed. Who adds one extends subject in sweep_subject.go.
//
//	decode     one token for each sequence after size tokens, which fill the caches with drawn values
//	forward    the loss of sequences of size tokens, or of images
//	step       the same with all gradients
//	attention  one layer of attention alone, of a lama its pooling, of a favit that of its first block, with all gradients
var sweepMeasures = []string{"decode", "forward", "step", "attention"}

// SweepExpect is one expectation of a sweep.
type SweepExpect struct {
	Measure string `toml:"measure"` // exponent | ratio | roofline
	Of      string `toml:"of"`      // seconds | tokens_per_second | memory; roofline has none
	Arm     string `toml:"arm"`
	Than    string `toml:"than"`  // ratio: the arm to compare with
	At      int    `toml:"at"`    // ratio, roofline: one of the sizes
	From    int    `toml:"from"`  // exponent: one of the sizes, the least that counts; 0: all do
	Batch   int    `toml:"batch"` // one of the batches; may be left out if there is one
	Bound
}

// Measures of a sweep, of each round:
//
//	exponent  slope of log m over log size, of images log pixels, by least squares over all sizes, or those from one on
//	ratio     m(arm) / m(than) at one size
//	roofline  max(bytes / bandwidth, FLOPs / peak) / seconds at one size: 1 is as fast as the machine can be
var sweepExpectations = []string{"exponent", "ratio", "roofline"}

// sweepMetrics are what a round has measured.
var sweepMetrics = map[string]func(p Point, a ArmPoint, round int) float64{
	"seconds":           func(_ Point, a ArmPoint, i int) float64 { return a.Seconds[i] },
	"tokens_per_second": func(p Point, a ArmPoint, i int) float64 { return float64(p.tokens()) / a.Seconds[i] },
	"memory":            func(_ Point, a ArmPoint, _ int) float64 { return float64(a.Memory) },
}

var sweepMetricNames = []string{"seconds", "tokens_per_second", "memory"}

// maxSize bounds sizes and batches.
const maxSize = 1 << 24

// Validate reports what cannot be measured.
func (s *Sweep) Validate(r *configs.Report) {
	if !slices.Contains(sweepMeasures, s.Measure) {
		r.Errorf("measure", "is unknown; want one of %s", strings.Join(sweepMeasures, ", "))
	}
	for key, v := range map[string][]int{"sizes": s.Sizes, "batches": s.Batches} {
		if len(v) == 0 || slices.Min(v) < 1 || slices.Max(v) > maxSize || len(slices.Compact(slices.Sorted(slices.Values(v)))) != len(v) {
			r.Errorf(key, "wants different numbers of 1 to %d", maxSize)
		}
	}
	if !slices.IsSorted(s.Sizes) {
		r.Errorf("sizes", "wants them to grow")
	}
	if s.Rounds < 1 {
		r.Errorf("rounds", "is too small; want at least 1")
	}
	if s.VocabSize < 1 {
		r.Errorf("vocab_size", "is too small; want at least 1")
	}
	if len(s.Expect) == 0 {
		r.Errorf("expect", "is missing; want at least one [[sweep.expect]]")
	}
	for i, e := range s.Expect {
		key := func(name string) string { return fmt.Sprintf("expect.%d.%s", i, name) }
		if e.Measure != "exponent" && !slices.Contains(s.Sizes, e.At) {
			r.Errorf(key("at"), "is none of the sizes")
		}
		if e.Measure == "exponent" && len(s.Sizes) < 2 {
			r.Errorf(key("measure"), "wants at least two sizes")
		}
		if at := slices.Index(s.Sizes, e.From); e.From != 0 && (at < 0 || at == len(s.Sizes)-1) {
			r.Errorf(key("from"), "is none of the sizes before the last")
		}
		if e.Measure == "roofline" && s.Measure != "decode" {
			r.Errorf(key("measure"), "is known of decode only")
		}
		if len(s.Batches) > 1 && e.Batch == 0 {
			r.Errorf(key("batch"), "is missing; want one of %d", s.Batches)
		} else if e.Batch != 0 && !slices.Contains(s.Batches, e.Batch) {
			r.Errorf(key("batch"), "is none of the batches")
		}
	}
}

// Validate reports an expectation that says nothing.
func (e SweepExpect) Validate(r *configs.Report) {
	if !slices.Contains(sweepExpectations, e.Measure) {
		r.Errorf("measure", "is unknown; want one of %s", strings.Join(sweepExpectations, ", "))
		return
	}
	switch roofline := e.Measure == "roofline"; {
	case roofline && e.Of != "":
		r.Errorf("of", "has no meaning for roofline")
	case !roofline && !slices.Contains(sweepMetricNames, e.Of):
		r.Errorf("of", "is unknown; want one of %s", strings.Join(sweepMetricNames, ", "))
	}
	if e.Arm == "" {
		r.Errorf("arm", "is empty; %s wants an arm", e.Measure)
	}
	if ratio := e.Measure == "ratio"; ratio != (e.Than != "") {
		r.Errorf("than", "is for ratio, which wants an arm to compare with")
	}
	if e.Measure != "exponent" && e.From != 0 {
		r.Errorf("from", "is for exponent only")
	}
	if e.Measure == "exponent" && e.At != 0 {
		r.Errorf("at", "has no meaning for exponent, which is of all sizes")
	}
}

// shrink makes the sweep small for --quick: the claim's sizes become those of [quick], in order.
func (s *Sweep) shrink(sizes []int) {
	for i := range s.Expect {
		if at := slices.Index(s.Sizes, s.Expect[i].At); at >= 0 {
			s.Expect[i].At = sizes[at]
		}
		if at := slices.Index(s.Sizes, s.Expect[i].From); at >= 0 {
			s.Expect[i].From = sizes[at]
		}
	}
	s.Sizes, s.Rounds = sizes, min(s.Rounds, 2)
}

// validateSweep reports what the claim around a sweep gets wrong.
func (c *Claim) validateSweep(r *configs.Report) {
	if q := c.Quick.Sizes; len(q) != len(c.Sweep.Sizes) || !slices.IsSorted(q) || len(q) > 0 && q[0] < 1 {
		r.Errorf("quick.sizes", "wants as many as [sweep] sizes, %d, each in the place of one, growing from at least 1", len(c.Sweep.Sizes))
	}
	if len(c.Expect) > 0 {
		r.Errorf("expect", "stands beside [sweep]; want [[sweep.expect]]")
	}
	if len(c.LearningRates) > 0 {
		r.Errorf("learning_rates", "stands beside [sweep], which trains nothing")
	}
	for i := range c.Arms {
		c.validateSweepArm(r, i)
	}
	for i, e := range c.Sweep.Expect {
		for key, name := range map[string]string{"arm": e.Arm, "than": e.Than} {
			if name != "" && c.arm(name) < 0 {
				r.Errorf(fmt.Sprintf("sweep.expect.%d.%s", i, key), "is none of the arms")
			}
		}
		if e.Of == "tokens_per_second" && c.seesImages() {
			r.Errorf(fmt.Sprintf("sweep.expect.%d.of", i), "is not measured of images; want seconds")
		}
	}
}

// sweepKinds are the networks of which each measure is known.
var sweepKinds = map[string][]string{
	"decode": {"decoder"}, "forward": {"decoder", "favit"}, "step": {"decoder", "favit"}, "attention": {"lama", "encoder", "favit"},
}

// validateSweepArm reports an arm that cannot be measured, at some of the sizes or beside the others.
func (c *Claim) validateSweepArm(r *configs.Report, i int) {
	a, key := c.Arms[i], func(name string) string { return fmt.Sprintf("arm.%d.%s", i, name) }
	if n := len(a.At); n > 0 && n != len(c.Sweep.Sizes) {
		r.Errorf(key("at"), "has %d lists of overrides; want %d, one for each of the sizes", n, len(c.Sweep.Sizes))
		return
	}
	for _, size := range c.Sweep.Sizes {
		cfg, err := c.sizeConfig(i, size)
		if err != nil {
			if len(a.At) > 0 {
				r.Errorf(key("at"), "does not apply to [run] at %d: %v", size, err)
			}
			return // else it is reported already
		}
		measure := c.measureOf(i)
		kinds, ok := sweepKinds[measure]
		if !ok {
			if a.Measure != "" { // else it is reported already
				r.Errorf(key("measure"), "is unknown; want one of %s", strings.Join(sweepMeasures, ", "))
			}
			return
		}
		if !slices.Contains(kinds, cfg.Model.Name) {
			r.Errorf(key("set"), "makes model.kind = %q; measure = %q wants %s", cfg.Model.Name, measure, strings.Join(kinds, " or "))
			return
		}
		if seesImages(cfg) != c.seesImages() {
			r.Errorf(key("set"), "makes images of text, or the reverse; arms want one kind of data")
			return
		}
		if len(a.At) == 0 {
			return // the same at all sizes
		}
	}
}

// measureOf is what is timed of arm i.
func (c *Claim) measureOf(i int) string { return cmp.Or(c.Arms[i].Measure, c.Sweep.Measure) }

// sizeConfig is the resolved config of arm i at a size of the sweep.
func (c *Claim) sizeConfig(i, size int) (recipe.Config, error) {
	set := c.Arms[i].Set
	if at := c.Arms[i].At; len(at) > 0 {
		set = slices.Concat(set, at[slices.Index(c.Sweep.Sizes, size)])
	}
	return override(c.Run, set)
}
