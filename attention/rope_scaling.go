package attention

import (
	"math"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/op"
)

// RopeScaling is the [model.attention.rope_scaling] table: rotary angles that turn more slowly, so that a model reads texts
// longer than those it was trained on.
type RopeScaling struct {
	Kind     string  `toml:"kind" doc:"linear: all angles (Chen et al. 2023); llama3: those of long waves, as LLaMA 3.1 does" choices:"linear|llama3"`
	Factor   float64 `toml:"factor" doc:"by which angles shrink, at least 1"`
	LowFreq  float64 `toml:"low_freq_factor" doc:"waves longer than original_context over this shrink fully, of llama3"`
	HighFreq float64 `toml:"high_freq_factor" doc:"waves shorter than original_context over this stay, of llama3"`
	Original int     `toml:"original_context" doc:"longest sequence before scaling, of llama3" unit:"tokens"`
}

// Validate reports a scaling that does not exist.
func (s RopeScaling) Validate(r *configs.Report) {
	if !(s.Factor >= 1) || math.IsInf(s.Factor, 1) {
		r.Errorf("factor", "is out of range; want 1 or more")
	}
	switch s.Kind {
	case "linear":
		if s.LowFreq != 0 || s.HighFreq != 0 || s.Original != 0 {
			r.Errorf("kind", "linear has no low_freq_factor, high_freq_factor and original_context")
		}
	case "llama3":
		if !(s.LowFreq > 0) || !(s.HighFreq > s.LowFreq) || math.IsInf(s.HighFreq, 1) {
			r.Errorf("high_freq_factor", "is out of range; want more than low_freq_factor, which is more than 0")
		}
		if s.Original < 1 {
			r.Errorf("original_context", "is out of range; want at least 1 token")
		}
	default:
		r.Errorf("kind", "is unknown; want linear or llama3")
	}
}

// scale shrinks frequencies f, in radians a position. In llama3, with w = 2 pi / f the length of a wave and L the original
// context, f becomes f / factor where w > L / low, stays where w < L / high, and between them is
// ((1 - s) / factor + s) f with s = (L / w - low) / (high - low).
func (s RopeScaling) scale(f []float64) {
	for i, x := range f {
		if s.Kind == "linear" {
			f[i] = x / s.Factor
			continue
		}
		waves := float64(s.Original) * x / (2 * math.Pi) // in the original context
		switch {
		case waves < s.LowFreq:
			f[i] = x / s.Factor
		case waves <= s.HighFreq:
			smooth := (waves - s.LowFreq) / (s.HighFreq - s.LowFreq)
			f[i] = (1-smooth)*x/s.Factor + smooth*x
		}
	}
}

// Divisors are by what the scaling divides each frequency of heads of a width.
func (s RopeScaling) Divisors(width int, theta float64) []float64 {
	f := op.RotaryFrequencies(width, theta)
	scaled := slices.Clone(f)
	s.scale(scaled)
	for i := range f {
		f[i] /= scaled[i]
	}
	return f
}

// RotaryTable is that of a model of the given width for positions 0 to positions-1.
func (c Config) RotaryTable(dModel, positions int, dtype tensor.Dtype) *op.RotaryTable {
	f := op.RotaryFrequencies(c.RotaryDim(dModel), c.Theta)
	if c.Scaling != nil {
		c.Scaling.scale(f)
	}
	return op.NewRotaryTableOf(f, positions, dtype)
}
