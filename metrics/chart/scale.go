package chart

import (
	"math"
	"strconv"
)

// scale places values on an axis of pixels.
type scale struct {
	log       bool
	low, high float64 // of logarithms, if it is logarithmic
	from, to  float64 // pixels
}

// newScale spans values with some room around them; those that a logarithm does not have are left out.
func newScale(values []float64, log bool, from, to float64) scale {
	s := scale{log: log, low: math.Inf(1), high: math.Inf(-1), from: from, to: to}
	for _, x := range values {
		if y := s.of(x); !math.IsNaN(y) && !math.IsInf(y, 0) {
			s.low, s.high = min(s.low, y), max(s.high, y)
		}
	}
	if s.low > s.high {
		s.low, s.high = 0, 1
	}
	room := (s.high - s.low) * 0.06
	if room < 1e-9*math.Abs(s.high) || room == 0 {
		room = math.Max(math.Abs(s.low)*0.1, 1e-6)
	}
	s.low, s.high = s.low-room, s.high+room
	return s
}

func (s scale) of(x float64) float64 {
	if s.log {
		return math.Log10(x)
	}
	return x
}

// at is the pixel of a value.
func (s scale) at(x float64) float64 { return s.from + (s.of(x)-s.low)/(s.high-s.low)*(s.to-s.from) }

// ticks are round numbers within the axis: 1, 2 and 5 times powers of ten of a logarithmic one that spans enough, else equal steps.
func (s scale) ticks() []float64 {
	if s.log && s.high-s.low > 0.9 {
		var all []float64
		digits := []float64{1, 2, 5}
		if s.high-s.low > 3 {
			digits = digits[:1]
		}
		for e := math.Floor(s.low); e <= s.high; e++ {
			for _, d := range digits {
				if x := d * math.Pow(10, e); math.Log10(x) >= s.low && math.Log10(x) <= s.high {
					all = append(all, x)
				}
			}
		}
		return all
	}
	low, high := s.low, s.high
	if s.log {
		low, high = math.Pow(10, low), math.Pow(10, high)
	}
	return Ticks(low, high)
}

// Ticks are round numbers within a range, four to six of them.
func Ticks(low, high float64) (all []float64) {
	if !(high > low) || math.IsInf(high-low, 0) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, f := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*f) <= 6 {
			step *= f
			break
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		all = append(all, i*step)
	}
	return all
}

// labels write ticks in short, 450k or 1.05M, with as many digits as tell them apart.
func labels(ticks []float64) []string {
	out := make([]string, len(ticks))
	for digits := 3; digits < 9; digits++ {
		seen, alike := map[string]bool{}, false
		for i, x := range ticks {
			out[i] = short(x, digits)
			alike = alike || seen[out[i]]
			seen[out[i]] = true
		}
		if !alike {
			break
		}
	}
	return out
}

func short(x float64, digits int) string {
	if math.Abs(x) < 1e-12 {
		x = 0
	}
	switch {
	case math.Abs(x) >= 1e6 && math.Abs(x) < 1e12:
		return strconv.FormatFloat(x/1e6, 'g', digits, 64) + "M"
	case math.Abs(x) >= 1e4 && math.Abs(x) < 1e12:
		return strconv.FormatFloat(x/1e3, 'g', digits, 64) + "k"
	}
	return strconv.FormatFloat(x, 'g', max(digits, 4), 64)
}
