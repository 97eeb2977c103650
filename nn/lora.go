package nn

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/op"
)

// Base is the frozen weight [Out, In] of a lora layer: no gradient, no optimizer
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

// addTo adds the base to a dense weight.
func (b *Base) addTo(w []float64) {
	switch {
	case b.Stored.Bits > 0:
		values := make([]float64, len(w))
		kernel.Dequantize(values, b.Codes)
		kernel.Add(w, w, values)
	case b.Weight.Dtype() == tensor.Float32:
		for i, x := range b.Weight.Float32s() {
			w[i] += float64(x)
		}
	default:
		kernel.Add(w, w, b.Weight.Float64s())
	}
}

// base returns the store's frozen weight b.Name("weight"), which must be of that
// size, or makes it from init: a run that starts from a checkpoint replaces it.
func (b *Builder) base(cfg LinearConfig, out, in int, init Init) *Base {
	full := b.Name("weight")
	if have, ok := b.Store.bases[full]; ok {
		if have.Out != out || have.In != in {
			panic(&op.ShapeError{Op: "parameter", What: full, Got: tensor.Shape{have.Out, have.In}, Want: fmt.Sprint([]int{out, in})})
		}
		return have
	}
	w := &Base{Out: out, In: in, Stored: cfg.base()}
	w.Codes = w.Stored.planned(out * in)
	b.Store.baseNames = append(b.Store.baseNames, full)
	b.Store.bases[full] = w
	if b.Store.Virtual {
		return w
	}
	dtype := b.Store.Dtype
	if w.Stored.Bits > 0 {
		w.Codes, dtype = w.Stored.zeros(out*in), tensor.Float32
	}
	values := tensor.New(tensor.Of(dtype), tensor.WithShape(out, in))
	init.fill(values, rng.New(b.opts.Seed, "init/"+full, 0))
	if w.Stored.Bits > 0 {
		w.Codes.Quantize(values.Float32s())
	} else {
		w.Weight = values
	}
	return w
}

// lora is y = x W0ᵀ + alpha/R (x Aᵀ) Bᵀ + b with a frozen W0 (Hu et al. 2021,
// section 4.1).
//
// Parameters: down.weight A [R, in] and up.weight B [out, R], R (in + out) of
// them. A starts uniformly within 1/sqrt(in) (Kaiming with a = sqrt(5), as in the
// paper's code; its text says Gaussian) and B at zero, so that training starts at
// the base's own outputs. Frozen: weight W0 [out, in], or weight.codes and
// weight.absmax in 8 or 4 bits (see kernel.Quantized).
type lora struct {
	cfg      LinearConfig
	b        *Builder
	base     *Base
	down, up Weight
	bias     *Weight
}

func newLoRA(b *Builder, cfg LinearConfig, in, out int, bias *Weight, init Init) *lora {
	up := Constant(0)
	if cfg.UpInit == "uniform" {
		up = Uniform(1 / math.Sqrt(float64(cfg.Rank)))
	}
	return &lora{
		cfg: cfg, b: b, bias: bias, base: b.base(cfg, out, in, init),
		down: b.Sub("down").Weight("weight", Uniform(1/math.Sqrt(float64(in))), cfg.Rank, in),
		up:   b.Sub("up").Weight("weight", up, out, cfg.Rank),
	}
}

// Forward maps [N, in] to [N, out].
func (l *lora) Forward(x *G.Node) *G.Node {
	spec := op.LoRA{Down: l.down.Use(), Up: l.up.Use(), Bias: l.bias.use(), Scale: l.cfg.Scale()}
	if l.base.Stored.Bits > 0 {
		spec.Packed = &l.base.Codes
	} else {
		w := l.b.Tape.Param(l.b.Name("weight"), tensor.Shape{l.base.Out, l.base.In}, l.base.Weight, nil)
		spec.Base = &w
	}
	return op.LoRALinear(x, spec)
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
