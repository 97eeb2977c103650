package denoise

import (
	"fmt"
	"math"
)

// Schedules are the ways in which the signal's share grows while a picture is drawn.
var Schedules = []string{"exp", "linear", "cosine"}

// last is T, the time at which there is noise alone.
const last = 1000

// signal is the share of a picture in the variance of what is seen at time t of 0 (all) to T (nearly none), of a schedule:
//
//	exp     least + (1 - least) c(t)/c(0) with c(t) = 1 - exp(-8 (T-t)/T), of HIR-Diff (arXiv 2402.15865)
//	linear  prod_{s<=t} (1 - beta_s), beta from 1e-4 to 0.02 (Ho et al. 2020)
//	cosine  cos²((t/T + 0.008)/1.008 pi/2) (Nichol and Dhariwal 2021)
//
// least, what is left at T, is 1e-3 for exp, as in the paper.
func signal(schedule string, t float64) (float64, error) {
	const least, rate = 1e-3, 8
	switch schedule {
	case "exp":
		c := func(t float64) float64 { return 1 - math.Exp(-rate*(last-t)/last) }
		return least + (1-least)*c(t)/c(0), nil
	case "linear":
		sum := 0.0
		for s := 1; s <= int(t); s++ {
			sum += math.Log1p(-(1e-4 + (0.02-1e-4)*float64(s-1)/(last-1)))
		}
		return math.Exp(sum), nil
	case "cosine":
		f := func(t float64) float64 { x := math.Cos((t/last + 0.008) / 1.008 * math.Pi / 2); return x * x }
		return max(f(t)/f(0), 1e-9), nil
	}
	return 0, fmt.Errorf("denoise: schedule %q; want exp, linear or cosine", schedule)
}

// deviationsOf are the deviations of noise at steps times from T down, in units of a picture of whole size: sqrt((1-a)/a) of signal a.
func deviationsOf(schedule string, steps int) ([]float64, error) {
	sigma := make([]float64, steps)
	for i := range sigma {
		a, err := signal(schedule, last*(1-float64(i)/float64(steps)))
		if err != nil {
			return nil, err
		}
		sigma[i] = math.Sqrt((1 - a) / a)
	}
	return sigma, nil
}
