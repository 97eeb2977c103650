package nn

import (
	"gorgonia.org/tensor"

	"sparrow/internal/rng"
)

// Init says how a parameter starts: values from a distribution, or a constant.
type Init struct {
	std   float64 // of a normal distribution around zero
	bound float64 // half width of a uniform distribution around zero
	value float64 // constant
	given bool    // as whoever builds the layer says
}

// Given starts as whoever builds the layer says, by the init of NewLinear.
func Given() Init { return Init{given: true} }

// Normal starts from a normal distribution around zero.
func Normal(std float64) Init { return Init{std: std} }

// Uniform starts from a uniform distribution on [-bound, bound).
func Uniform(bound float64) Init { return Init{bound: bound} }

// Between starts from a uniform distribution on [low, high).
func Between(low, high float64) Init { return Init{bound: (high - low) / 2, value: (low + high) / 2} }

// Constant starts from one value.
func Constant(value float64) Init { return Init{value: value} }

func (i Init) fill(value *tensor.Dense, r *rng.Source) {
	if value.Dtype() == tensor.Float32 {
		fill(i, value.Float32s(), r)
	} else {
		fill(i, value.Float64s(), r)
	}
}

func fill[T rng.Float](i Init, dst []T, r *rng.Source) {
	switch {
	case i.std != 0:
		rng.FillNormal(r, dst, 0, i.std)
	case i.bound != 0:
		rng.FillUniform(r, dst, i.value-i.bound, i.value+i.bound)
	default:
		for j := range dst {
			dst[j] = T(i.value)
		}
	}
}
