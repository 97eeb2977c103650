package nn

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/op"
)

// Base is the frozen weight [Out, In] of a [Based] layer: no gradient, no optimizer
// state, and none of a store's parameters. It is Weight or Codes, of which there
// is neither in a virtual store.
type Base struct {
	Out, In int
	Stored  Quantization     // the zero value: as floating-point numbers
	Weight  *tensor.Dense    // of the store's type
	Codes   kernel.Quantized // row-major
}

// Bytes is the memory that the base takes.
func (b *Base) Bytes(dtype tensor.Dtype) int {
	return b.Stored.Bytes(b.Out*b.In, int(dtype.Size()))
}

// Set makes the base of w, rounded to few bits if that is how it is kept. Weights
// that are no finite numbers are an error.
func (b *Base) Set(w []float32) error {
	if len(w) != b.Out*b.In {
		return fmt.Errorf("nn: a base of %d weights, want %d", len(w), b.Out*b.In)
	}
	if !kernel.AllFinite(w) {
		return fmt.Errorf("nn: the weights of a frozen base are not all finite numbers")
	}
	switch {
	case b.Stored.Bits > 0:
		b.Codes.Quantize(w)
	case b.Weight.Dtype() == tensor.Float32:
		copy(b.Weight.Float32s(), w)
	default:
		for i, x := range w {
			b.Weight.Float64s()[i] = float64(x)
		}
	}
	return nil
}

// array is the base's content.
func (b *Base) array() Array {
	a := Array{Shape: []int{b.Out, b.In}}
	switch {
	case b.Stored.Bits > 0:
		values := make([]float64, b.Out*b.In)
		kernel.Dequantize(values, b.Codes)
		a.Data = values
	case b.Weight.Dtype() == tensor.Float32:
		a.Data = b.Weight.Float32s()
	default:
		a.Data = b.Weight.Float64s()
	}
	return a
}

// base finds the store's frozen weight of that name, which must be of that size, or makes it: a run that starts from a
// checkpoint replaces its values.
func (b *Builder) base(a Spec) {
	full, out, in := b.Name(a.Name), a.Shape[0], a.Shape[1]
	if have, ok := b.Store.bases[full]; ok {
		if have.Out != out || have.In != in {
			panic(&op.ShapeError{Op: "parameter", What: full, Got: tensor.Shape{have.Out, have.In}, Want: fmt.Sprint([]int{out, in})})
		}
	} else {
		have = &Base{Out: out, In: in, Stored: a.Stored}
		have.Codes = have.Stored.planned(out * in)
		b.Store.baseNames = append(b.Store.baseNames, full)
		b.Store.bases[full] = have
	}
	w := b.Store.bases[full]
	if b.Store.Virtual || w.Weight != nil || w.Codes.Codes != nil {
		return
	}
	dtype := b.Store.Dtype
	if w.Stored.Bits > 0 {
		w.Codes, dtype = w.Stored.zeros(out*in), tensor.Float32
	}
	values := tensor.New(tensor.Of(dtype), tensor.WithShape(out, in))
	a.Init.fill(values, rng.New(b.opts.Seed, "init/"+full, 0))
	if w.Stored.Bits > 0 {
		w.Codes.Quantize(values.Float32s())
	} else {
		w.Weight = values
	}
}

// BaseNames lists the frozen weights of lora layers in the order of their creation.
func (s *Store) BaseNames() []string { return s.baseNames }

// Base returns the named frozen weight, nil if there is none.
func (s *Store) Base(name string) *Base { return s.bases[name] }

// BaseParameters is the number of values in all frozen weights of lora layers.
func (s *Store) BaseParameters() int {
	n := 0
	for _, b := range s.bases {
		n += b.Out * b.In
	}
	return n
}

// BaseBytes is the memory of all frozen weights of lora layers.
func (s *Store) BaseBytes() int {
	n := 0
	for _, b := range s.bases {
		n += b.Bytes(s.Dtype)
	}
	return n
}
