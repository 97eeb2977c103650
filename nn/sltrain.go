package nn

import (
	"fmt"
	"maps"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/op"
)

// lowRank is y = x (B A)ᵀ + b: two thin products, W = B A is never formed.
//
// Parameters: down.weight A [R, in] and up.weight B [out, R], R (in + out) of
// them. Both start uniformly, A within 1/sqrt(in) and B within 1/sqrt(R): with
// B = 0 a network of such layers has no gradient at all.
type lowRank struct {
	down, up Weight
	bias     *Weight
}

func newLowRank(b *Builder, cfg LinearConfig, in, out int, bias *Weight) *lowRank {
	up := Uniform(1 / math.Sqrt(float64(cfg.Rank)))
	if cfg.UpInit == "zeros" {
		up = Constant(0)
	}
	return &lowRank{
		down: b.Sub("down").Weight("weight", Uniform(1/math.Sqrt(float64(in))), cfg.Rank, in),
		up:   b.Sub("up").Weight("weight", up, out, cfg.Rank),
		bias: bias,
	}
}

func (l *lowRank) Forward(x *G.Node) *G.Node {
	return l.up.linear(l.down.linear(x, nil), l.bias) // [N, R] between
}

// slTrain is y = x (alpha/R B A + S)ᵀ + b with S sparse at places drawn once
// (Han et al. 2024, section 3).
//
// Parameters: down.weight A [R, in], up.weight B [out, R], sparse.values [Z] and
// the fixed sparse.indices [Z], with Z = floor(density out in) > 0 distinct places
// drawn uniformly. A and the values start within 1/sqrt(in), B at zero.
type slTrain struct {
	cfg              LinearConfig
	down, up, values Weight
	scale            *Weight // trainable s, the factor is tanh(s); nil: alpha / R
	places           []int32
	bias             *Weight
}

// maxPlaces is the most entries that a matrix may have whose places are 32-bit integers.
const maxPlaces = math.MaxInt32

func newSLTrain(b *Builder, cfg LinearConfig, in, out int, bias *Weight) *slTrain {
	if in > 0 && out > maxPlaces/in {
		panic(&op.ShapeError{Op: "sltrain", What: b.Name("weight"), Got: tensor.Shape{out, in}, Want: "fewer than 2^31 entries, since the places of S are 32-bit integers"})
	}
	nonzeros := Layer{Kind: "sltrain", In: in, Out: out, Config: cfg}.Nonzeros()
	if nonzeros < 1 {
		panic(&op.ShapeError{Op: "sltrain", What: b.Name("weight"), Got: tensor.Shape{out, in},
			Want: fmt.Sprintf("a density of at least 1/%d, since %g gives S no entry, or kind = \"low_rank\"", out*in, cfg.Density)})
	}
	small := Uniform(1 / math.Sqrt(float64(in)))
	up := Constant(0)
	if cfg.UpInit == "uniform" {
		up = Uniform(1 / math.Sqrt(float64(cfg.Rank)))
	}
	sparse := b.Sub("sparse")
	l := &slTrain{
		cfg: cfg, bias: bias,
		down:   b.Sub("down").Weight("weight", small, cfg.Rank, in),
		up:     b.Sub("up").Weight("weight", up, out, cfg.Rank),
		values: sparse.Weight("values", small, nonzeros),
		places: sparse.Index("indices", nonzeros, func(r *rng.Source) []int32 { return choose(r, nonzeros, out*in) }),
	}
	if cfg.TrainScale {
		s := b.Weight("scale", Constant(1), 1)
		l.scale = &s
	}
	return l
}

// Forward maps [N, in] to [N, out].
func (l *slTrain) Forward(x *G.Node) *G.Node {
	return op.SparseLowRankLinear(x, op.SparseLowRank{
		Down: l.down.Use(), Up: l.up.Use(), Values: l.values.Use(), Places: l.places, Bias: l.bias.use(),
		Scale: l.cfg.Scale(), LearnedScale: l.scale.use(), Mode: l.cfg.Mode,
	})
}

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

// CheckIndices returns an error if integers that came from a file cannot be the
// places of a layer's sparse part: distinct, ascending and inside its matrix, or of
// a dense_sparse layer the atoms of each vector of a block distinct and ascending.
func (s *Store) CheckIndices() error {
	for _, name := range s.Layers() {
		l := s.Layer(name)
		if l.Kind == "dense_sparse" {
			if err := s.checkAtoms(name); err != nil {
				return err
			}
		}
		if l.Kind != "sltrain" {
			continue
		}
		last := int32(-1)
		for k, p := range s.Index(name + ".sparse.indices") {
			if p <= last || int(p) >= l.In*l.Out {
				return fmt.Errorf("nn: %s.sparse.indices[%d] is %d, want ascending numbers from 0 to %d", name, k, p, l.In*l.Out-1)
			}
			last = p
		}
	}
	return nil
}
