package optim

import (
	"errors"
	"fmt"
	"math"

	"sparrow/recipe"
)

// Schedule is the learning rate as a function of the step. With n the 0-based step, W = Warmup, N = Steps,
// D = DecaySteps, m = MinRatio, the rate over Peak is
//
//	warm-up   n < W:   (n + 1) / W                              every kind
//	constant  n >= W:  1
//	linear    n >= W:  1 - (1 - m) p               p = (n - W) / (N - W)
//	cosine    n >= W:  m + (1 - m) (1 + cos πp)/2  p = (n - W) / (N - W)
//	wsd       n >= W:  1 - (1 - m) p               p = max(0, n - (N - D)) / D
//
// and m from step N on, except for constant. So the first rate is Peak/W and never 0, step W-1 is the first at Peak, and the
// rate m Peak belongs to step N, the one after the last: with m = 0 no step of the run is wasted on a rate of 0.
//
// The cosine is SGDR's (Loshchilov and Hutter 2017, eq. 5) with one period. MiniCPM (Hu et al. 2024) introduced
// warm-up, stable, decay with an exponential decay; the decay here is linear, so that it ends exactly at m Peak.
type Schedule struct {
	Kind       string  // constant | linear | cosine | wsd
	Warmup     int     // steps of linear warm-up, 0 to Steps
	Steps      int     // steps of the whole run, at least 1
	DecaySteps int     // wsd only: steps of the final decay, 1 to Steps-Warmup
	Peak       float64 // highest learning rate, above 0
	MinRatio   float64 // final rate over Peak, 0 to 1; constant does not use it
}

// Validate returns every reason why the schedule cannot be followed, or nil.
func (s Schedule) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("schedule: "+format, args...))
	}
	switch s.Kind {
	case "constant", "linear", "cosine", "wsd":
	default:
		bad("kind is %q; want constant, linear, cosine or wsd", s.Kind)
	}
	if s.Steps < 1 {
		bad("%d steps; want at least 1", s.Steps)
	}
	if s.Warmup < 0 || s.Warmup > s.Steps {
		bad("%d warm-up steps; want 0 to %d, the steps of the run", s.Warmup, s.Steps)
	}
	if rest := s.Steps - s.Warmup; s.Kind == "wsd" && (s.DecaySteps < 1 || s.DecaySteps > rest) {
		bad("%d decay steps; want 1 to %d, the steps after the warm-up", s.DecaySteps, rest)
	}
	if s.Kind != "wsd" && s.DecaySteps != 0 {
		bad("%d decay steps with kind %q; only wsd has them", s.DecaySteps, s.Kind)
	}
	if !(s.Peak > 0) || math.IsInf(s.Peak, 1) {
		bad("peak learning rate is %v; want a finite number above 0", s.Peak)
	}
	if !(s.MinRatio >= 0 && s.MinRatio <= 1) {
		bad("min ratio is %v; want 0 to 1", s.MinRatio)
	}
	return errors.Join(errs...)
}

// At returns the learning rate of the 0-based step. The schedule must have passed Validate.
func (s Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step+1) / float64(s.Warmup)
	}
	if s.Kind == "constant" {
		return s.Peak
	}
	if step >= s.Steps {
		return s.Peak * s.MinRatio
	}
	from, length := s.Warmup, s.Steps-s.Warmup
	if s.Kind == "wsd" {
		from, length = s.Steps-s.DecaySteps, s.DecaySteps
	}
	p := float64(max(0, step-from)) / float64(length)
	if s.Kind == "cosine" {
		return s.Peak * (s.MinRatio + (1-s.MinRatio)*(1+math.Cos(math.Pi*p))/2)
	}
	return s.Peak * (1 - (1-s.MinRatio)*p)
}

// ScheduleOf is the learning rate of each step.
func ScheduleOf(c recipe.Train) Schedule {
	return Schedule{Kind: c.Schedule, Warmup: c.WarmupSteps, Steps: c.Steps, DecaySteps: c.DecaySteps, Peak: c.LearningRate, MinRatio: c.MinLRRatio}
}
