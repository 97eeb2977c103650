package nn

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/kernel"
)

// LowRank is y = x (B A)ᵀ + b: two thin products, W = B A is never formed.
//
// Parameters: down.weight A [R, in] and up.weight B [out, R], R (in + out) of
// them. Both start uniformly, A within 1/sqrt(in) and B within 1/sqrt(R): with
// B = 0 a network of such layers has no gradient at all.
type LowRank struct {
	Rank   int    `toml:"rank" json:"rank" doc:"R, width between the two factors" unit:"neurons"`
	UpInit string `toml:"up_init" json:"-" doc:"how B starts; empty: uniform" choices:"|zeros|uniform"`
}

// Validate implements Kind.
func (k LowRank) Validate(r *configs.Report) {
	r.AtLeast("rank", 1)
	r.OneOf("up_init")
}

// Layout implements Kind.
func (k LowRank) Layout(in, out int) Layout {
	return Layout{factors(in, out, k.Rank, upInit(k.UpInit, "uniform", k.Rank), true), k.Rank * (in + out)}
}

// factors are the two arrays of a product B A of rank r.
func factors(in, out, r int, up Init, packs bool) []Spec {
	return []Spec{
		{Name: "down.weight", Shape: []int{r, in}, Init: Uniform(1 / math.Sqrt(float64(in))), Rounds: true, Packs: packs},
		{Name: "up.weight", Shape: []int{out, r}, Init: up, Rounds: true, Packs: packs},
	}
}

// upInit is how B starts: within 1/sqrt(R), or at zero.
func upInit(name, otherwise string, r int) Init {
	if name == "" {
		name = otherwise
	}
	if name == "zeros" {
		return Constant(0)
	}
	return Uniform(1 / math.Sqrt(float64(r)))
}

// New implements Kind.
func (LowRank) New(w Weights, bias *Weight) Linear {
	return &lowRank{w["down.weight"], w["up.weight"], bias}
}

type lowRank struct {
	down, up Weight
	bias     *Weight
}

func (l *lowRank) Forward(x *G.Node) *G.Node {
	return l.up.linear(l.down.linear(x, nil), l.bias) // [N, R] between
}

// Width implements Factored.
func (k LowRank) Width() int { return k.Rank }

// ProductScale implements Factored.
func (LowRank) ProductScale(map[string]Array) float64 { return 1 }

// Matrix implements Kind.
func (LowRank) Matrix(w map[string]Array) []float64 { return product(w, 1) }

// product is scale B A [out, in].
func product(w map[string]Array, scale float64) []float64 {
	up, down := w["up.weight"], w["down.weight"]
	out, r, in := up.Shape[0], up.Shape[1], down.Shape[1]
	p := make([]float64, out*in)
	kernel.Gemm(false, false, out, in, r, scale, up.Float64s(), r, down.Float64s(), in, 0, p, in)
	return p
}
