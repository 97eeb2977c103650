package nn

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/op"
)

// LoRA is y = x W0ᵀ + alpha/R (x Aᵀ) Bᵀ + b with a frozen W0 (Hu et al. 2021,
// section 4.1).
//
// Parameters: down.weight A [R, in] and up.weight B [out, R], R (in + out) of
// them. A starts uniformly within 1/sqrt(in) (Kaiming with a = sqrt(5), as in the
// paper's code; its text says Gaussian) and B at zero, so that training starts at
// the base's own outputs. Frozen: weight W0 [out, in], or weight.codes and
// weight.absmax in 8 or 4 bits (see kernel.Quantized).
type LoRA struct {
	Rank   int     `toml:"rank" json:"rank" doc:"R, width between the two factors" unit:"neurons"`
	Alpha  float64 `toml:"alpha" json:"-" doc:"the product of the factors counts alpha / rank; 0: rank"`
	UpInit string  `toml:"up_init" json:"-" doc:"how B starts; empty: zeros" choices:"|zeros|uniform"`
	Keep   string  `toml:"base" json:"-" doc:"how the frozen weight is kept; empty: float32" choices:"|float32|int8|int4"`
}

// Validate implements Kind.
func (k LoRA) Validate(r *configs.Report) {
	r.AtLeast("rank", 1)
	validateAlpha(r, k.Alpha)
	r.OneOf("up_init")
	r.OneOf("base")
}

// Base implements Based.
func (k LoRA) Base() Quantization { return Quantization{Bits: bitsOf[k.Keep]} }

// Layout implements Kind. The base has the name of a dense layer's weight, so that a dense checkpoint fills it.
func (k LoRA) Layout(in, out int) Layout {
	base := Spec{Name: "weight", Shape: []int{out, in}, Init: Given(), Frozen: true, Stored: k.Base()}
	arrays := factors(in, out, k.Rank, upInit(k.UpInit, "zeros", k.Rank), false)
	for i := range arrays {
		arrays[i].Rounds = false
	}
	return Layout{append([]Spec{base}, arrays...), in*out + k.Rank*(in+out)}
}

// New implements Kind.
func (k LoRA) New(w Weights, bias *Weight) Linear {
	return &lora{k: k, weight: w["weight"], base: w["weight"].Base(), down: w["down.weight"], up: w["up.weight"], bias: bias}
}

// Adapter is what a LoRA adapter from elsewhere adds to a linear layer W [Out, In]: Alpha / Rank Up Down.
type Adapter struct {
	Layer   string // name of the linear layer
	In, Out int
	Rank    int
	Alpha   float64
	Down    []float32 // [Rank, In]
	Up      []float32 // [Out, Rank]
}

type lora struct {
	k        LoRA
	weight   Weight
	base     *Base
	down, up Weight
	bias     *Weight
}

// Forward maps [N, in] to [N, out].
func (l *lora) Forward(x *G.Node) *G.Node {
	spec := op.LoRA{Down: l.down.Use(), Up: l.up.Use(), Bias: l.bias.use(), Scale: alphaScale(l.k.Alpha, l.k.Rank)}
	if l.base.Stored.Bits > 0 {
		spec.Packed = &l.base.Codes
	} else {
		w := l.weight.b.Tape.Param(l.weight.name, tensor.Shape{l.base.Out, l.base.In}, l.base.Weight, nil)
		spec.Base = &w
	}
	return op.LoRALinear(x, spec)
}

// Width implements Factored.
func (k LoRA) Width() int { return k.Rank }

// ProductScale implements Factored.
func (k LoRA) ProductScale(map[string]Array) float64 { return alphaScale(k.Alpha, k.Rank) }

// Matrix implements Kind.
func (k LoRA) Matrix(w map[string]Array) []float64 {
	m := product(w, k.ProductScale(w))
	kernel.Add(m, m, w["weight"].Float64s())
	return m
}
