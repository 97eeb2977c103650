package nn

import (
	"fmt"
	"maps"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/op"
)

// SLTrain is y = x (alpha/R B A + S)ᵀ + b with S sparse at places drawn once
// (Han et al. 2024, section 3).
//
// Parameters: down.weight A [R, in], up.weight B [out, R], sparse.values [Z] and
// the fixed sparse.indices [Z], with Z = floor(density out in) > 0 distinct places
// drawn uniformly; with TrainScale the scale s [1], where tanh(s) stands for
// alpha/R. A and the values start within 1/sqrt(in), B at zero.
type SLTrain struct {
	Rank       int     `toml:"rank" json:"rank" doc:"R, width between the two factors" unit:"neurons"`
	Alpha      float64 `toml:"alpha" json:"-" doc:"the product of the factors counts alpha / rank; 0: rank"`
	Density    float64 `toml:"density" json:"density" doc:"delta in the paper: share of the entries of S that exist"`
	UpInit     string  `toml:"up_init" json:"-" doc:"how B starts; empty: zeros" choices:"|zeros|uniform"`
	TrainScale bool    `toml:"train_scale" json:"-" doc:"learn the product's factor as tanh(s), s = 1 at the start"`
	Mode       string  `toml:"mode" json:"-" doc:"how the layer is computed; empty: whichever costs less by shape" choices:"|materialized|factored"`
}

// maxPlaces is the most entries that a matrix may have whose places are 32-bit integers.
const maxPlaces = math.MaxInt32

// Validate implements Kind.
func (k SLTrain) Validate(r *configs.Report) {
	r.AtLeast("rank", 1)
	validateAlpha(r, k.Alpha)
	r.OneOf("up_init")
	r.OneOf("mode")
	r.Within("density", k.Density > 0 && k.Density < 1, "more than 0 and less than 1")
}

func validateAlpha(r *configs.Report, alpha float64) {
	r.Within("alpha", alpha >= 0 && !math.IsInf(alpha, 1), "0 (as rank) or a finite number above")
}

// nonzeros is Z.
func (k SLTrain) nonzeros(in, out int) int {
	return int(math.Floor(k.Density * float64(out) * float64(in)))
}

// Fits implements Fitted.
func (k SLTrain) Fits(in, out int) string {
	switch {
	case in > 0 && out > maxPlaces/in:
		return "fewer than 2^31 entries, since the places of S are 32-bit integers"
	case k.nonzeros(in, out) < 1:
		return fmt.Sprintf("a density of at least 1/%d, since %g gives S no entry, or kind = \"low_rank\"", out*in, k.Density)
	}
	return ""
}

// Layout implements Kind.
func (k SLTrain) Layout(in, out int) Layout {
	z := k.nonzeros(in, out)
	arrays := append(factors(in, out, k.Rank, upInit(k.UpInit, "zeros", k.Rank), false),
		Spec{Name: "sparse.values", Shape: []int{z}, Init: Uniform(1 / math.Sqrt(float64(in))), Rounds: true, Steady: true},
		Spec{Name: "sparse.indices", Shape: []int{z}, Places: out * in})
	if k.TrainScale {
		arrays = append(arrays, Spec{Name: "scale", Shape: []int{1}, Init: Constant(1), Steady: true})
	}
	return Layout{arrays, k.Rank*(in+out) + z}
}

// New implements Kind.
func (k SLTrain) New(w Weights, bias *Weight) Linear {
	l := &slTrain{k: k, down: w["down.weight"], up: w["up.weight"], values: w["sparse.values"], places: w["sparse.indices"].Places(), bias: bias}
	if s, ok := w["scale"]; ok {
		l.scale = &s
	}
	return l
}

type slTrain struct {
	k                SLTrain
	down, up, values Weight
	scale            *Weight // trainable s, the factor is tanh(s); nil: alpha / R
	places           []int32
	bias             *Weight
}

// Forward maps [N, in] to [N, out].
func (l *slTrain) Forward(x *G.Node) *G.Node {
	return op.SparseLowRankLinear(x, op.SparseLowRank{
		Down: l.down.Use(), Up: l.up.Use(), Values: l.values.Use(), Places: l.places, Bias: l.bias.use(),
		Scale: alphaScale(l.k.Alpha, l.k.Rank), LearnedScale: l.scale.use(), Mode: l.k.Mode,
	})
}

// alphaScale is alpha / rank, the factor of the product of the factors.
func alphaScale(alpha float64, rank int) float64 {
	if alpha == 0 {
		return 1
	}
	return alpha / float64(rank)
}

// Width implements Factored.
func (k SLTrain) Width() int { return k.Rank }

// ProductScale implements Factored.
func (k SLTrain) ProductScale(w map[string]Array) float64 {
	if s, ok := w["scale"]; ok {
		return math.Tanh(s.Float64s()[0])
	}
	return alphaScale(k.Alpha, k.Rank)
}

// Matrix implements Kind.
func (k SLTrain) Matrix(w map[string]Array) []float64 {
	m := product(w, k.ProductScale(w))
	kernel.ScatterAdd(m, w["sparse.indices"].Data.([]int32), w["sparse.values"].Float64s())
	return m
}

// WithoutSparse is the layer of low rank that is left without S.
func (k SLTrain) WithoutSparse() Kind { return LowRank{Rank: k.Rank} }

// choose draws n of the numbers below total, every set as likely, in ascending
// order (Floyd's algorithm: n draws, where a permutation would need total).
func choose(r *rng.Source, n, total int) []int32 {
	taken := make(map[int32]bool, n)
	for last := total - n; last < total; last++ {
		k := int32(r.Intn(last + 1))
		if taken[k] {
			k = int32(last)
		}
		taken[k] = true
	}
	return slices.Sorted(maps.Keys(taken))
}
