package nn

import "gorgonia.org/tensor"

// At reads an element of a float tensor.
func At(d *tensor.Dense, i int) float64 {
	if d.Dtype() == tensor.Float32 {
		return float64(d.Float32s()[i])
	}
	return d.Float64s()[i]
}

// SetAt writes an element of a float tensor, rounded to its type.
func SetAt(d *tensor.Dense, i int, x float64) {
	if d.Dtype() == tensor.Float32 {
		d.Float32s()[i] = float32(x)
	} else {
		d.Float64s()[i] = x
	}
}

// setFloats writes all elements.
func setFloats(d *tensor.Dense, values []float64) {
	for i, x := range values {
		SetAt(d, i, x)
	}
}
