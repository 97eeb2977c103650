package interchange

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"sparrow/attention"
	"sparrow/checkpoints/foreign"
)

// ropeFreqs is the tensor by which llama.cpp has the rope scaling of LLaMA 3: what divides each frequency, [K/2] of heads of width K.
const ropeFreqs = "rope_freqs.weight"

// readRopeFreqs finds the scaling that divides frequencies as the tensor says, and adds it to the config.
func (s *Source) readRopeFreqs(t foreign.Tensor) {
	c := s.config.values
	width := int(number(c["head_dim"]))
	if heads := int(number(c["num_attention_heads"])); width == 0 && heads > 0 {
		width = int(number(c["hidden_size"])) / heads
	}
	refuse := func(format string, args ...any) {
		s.refused = append(s.refused, fmt.Sprintf("tensor "+ropeFreqs+" "+format, args...))
	}
	if !slices.Equal(t.Shape, []int{width / 2}) || width < 2 || t.Type != foreign.F32 {
		refuse("has type %s and shape %v; want F32 and half a head, %d", t.Type.Name, t.Shape, width/2)
		return
	}
	values, err := t.Values()
	if err != nil {
		refuse("cannot be read: %v", err)
		return
	}
	found, ok := scalingOf(values, width, cmp.Or(number(c["rope_theta"]), 10000))
	switch {
	case !ok:
		refuse("is not a scaling that is supported; want that of LLaMA 3")
	case c["rope_scaling"] != nil && found != nil:
		refuse("stands beside another rope scaling")
	case found != nil:
		c["rope_scaling"] = map[string]any{
			"rope_type": found.Kind, "factor": found.Factor, "low_freq_factor": found.LowFreq, "high_freq_factor": found.HighFreq,
			"original_max_position_embeddings": found.Original,
		}
	}
}

// scalingOf is the scaling of LLaMA 3 that has these divisors; nil: they are ones. Its models have had low_freq_factor = 1 and
// high_freq_factor = 4, and a power of two as original context.
func scalingOf(divisors []float32, width int, theta float64) (found *attention.RopeScaling, ok bool) {
	const most = 1e6
	factor := float64(slices.Max(divisors))
	if !(factor >= 1 && factor < most && slices.Min(divisors) >= 1) { // no number is neither
		return nil, false
	}
	if factor == 1 {
		return nil, true
	}
	for original := 1; original <= maxContext; original *= 2 {
		s := attention.RopeScaling{Kind: "llama3", Factor: factor, LowFreq: 1, HighFreq: 4, Original: original}
		same := true
		for i, want := range s.Divisors(width, theta) {
			same = same && math.Abs(float64(divisors[i])/want-1) < 1e-5 // of float32
		}
		if same {
			return &s, true
		}
	}
	return nil, false
}

// ropeSource is the tensor of a scaling.
func ropeSource(s attention.RopeScaling, width int, theta float64) foreign.Source {
	return foreign.Source{Name: ropeFreqs, Shape: []int{width / 2}, Type: foreign.F32, Values: func() ([]float32, error) {
		var x []float32
		for _, d := range s.Divisors(width, theta) {
			x = append(x, float32(d))
		}
		return x, nil
	}}
}
