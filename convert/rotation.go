package convert

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// Rotary positions turn pair i of a head of width K, its elements i and i + K/2, by position times theta^(-2i/K). A query
// and a key at distance n thus meet in q R(-n) kᵀ, and mixing features of different frequencies does not commute with R.
// So the features of an MFA, whose C/2 pairs have frequencies of their own, are found for all distances at once: the
// least squares over encode Z [C, G K] and the groups' query maps T_g [C, K] of
//
//	sum_g sum_n w_n | P_g^(1/2) (R(-n) E_g - T_gᵀ R'(-n) Z) Ck^(1/2) |²
//
// with P_g the moments of the group's queries, Ck [G K, G K] those of the keys, E_g the group's rows of the identity, R
// and R' the turns of K and C, and w_n the weight of distance n. Each of Z and T has a closed form
// given the other, in which the mean over distances of R' X Rᵀ is closed too (see turns.mean), so they are found in turn.

// frequencies of a head of that width.
func frequencies(width int, theta float64) []float64 {
	f := make([]float64, width/2)
	for i := range f {
		f[i] = math.Pow(theta, -2*float64(i)/float64(width))
	}
	return f
}

// turns are the means over distances n of e^(i(a-b)n) and e^(i(a+b)n), for the frequencies a of rows and b of columns.
type turns struct {
	difference, sum [][]complex128
}

// distanceWeight is w_n, but for a factor, in a text of context tokens: the number of pairs that are so far apart, over
// 1 + n, because attention looks at near tokens most. So every doubling of the distance counts about alike. (Without the
// divisor, which the loss after conversion of a small MHA speaks for, half of the weight is on distances above 0.3 of the
// context.)
func distanceWeight(n, context int) float64 { return float64(context-n) / float64(1+n) }

// newTurns takes the means by the weights of distances.
func newTurns(rows, cols []float64, context int) turns {
	weights, whole := make([]float64, context), 0.0
	for n := range weights {
		weights[n] = distanceWeight(n, context)
		whole += weights[n]
	}
	mean := func(frequency float64) complex128 {
		sin, cos := math.Sincos(frequency)
		step, at := complex(cos, sin), complex(1/whole, 0)
		var sum complex128
		for _, w := range weights {
			sum += at * complex(w, 0)
			at *= step
		}
		return sum
	}
	var t turns
	for _, a := range rows {
		difference, sum := make([]complex128, len(cols)), make([]complex128, len(cols))
		for i, b := range cols {
			difference[i], sum[i] = mean(a-b), mean(a+b)
		}
		t.difference, t.sum = append(t.difference, difference), append(t.sum, sum)
	}
	return t
}

// mean is the weighted mean over n of R(n) X R'(n)ᵀ, or with back of R(-n) X R'(-n)ᵀ: R turns rows and R' the columns of
// x, which may hold several heads side by side. Every 2 x 2 block of x that joins two pairs is the sum of a complex
// multiplication, which is turned by the difference of the angles, and one of the conjugate, turned by their sum.
func (t turns) mean(x *factor.Matrix, back bool) *factor.Matrix {
	y := factor.NewMatrix(x.Rows, x.Cols)
	pairs, half := len(t.difference), len(t.difference[0])
	turn := func(z, by complex128) complex128 {
		if back {
			by = complex(real(by), -imag(by))
		}
		return z * by
	}
	for p := range pairs {
		top, bottom := x.Row(p), x.Row(p+pairs)
		for first := 0; first < x.Cols; first += 2 * half {
			for i := range half {
				l, r := first+i, first+i+half
				a, b, c, d := top[l], top[r], bottom[l], bottom[r]
				u := turn(complex((a+d)/2, (c-b)/2), t.difference[p][i])
				v := turn(complex((a-d)/2, (c+b)/2), t.sum[p][i])
				y.Row(p)[l], y.Row(p)[r] = real(u)+real(v), imag(v)-imag(u)
				y.Row(p + pairs)[l], y.Row(p + pairs)[r] = imag(u)+imag(v), real(u)-real(v)
			}
		}
	}
	return y
}

// rotation is what the turns of the parent's and the MFA's heads have to do with each other.
type rotation struct {
	parent turns // of the parent's keys with themselves
	cross  turns // of the MFA's features with them
	own    turns // of those with themselves
}

func newRotation(width, features int, theta float64, context int) *rotation {
	old, own := frequencies(width, theta), frequencies(features, theta)
	return &rotation{newTurns(old, old, context), newTurns(own, old, context), newTurns(own, own, context)}
}

const (
	// rounds bounds the alternation, of which each round gains less than the one before.
	rounds = 60
	// settled is the share of the energy that a round must gain for the next one to be worth its time.
	settled = 1e-6
)

// rotatingBasis is sharedBasis of the keys under rotary positions. It starts from pairs that mix those of all groups
// with the nearest frequency above, by random weights.
func (c circuits) rotatingBasis(ctx context.Context, r *rotation, features int, random *rng.Source) (basis, error) {
	a := alternation{circuits: c, r: r, keys: gram(c.k.Mul(c.root)), metrics: c.queryMetrics()}
	for g, metric := range a.metrics {
		a.whole += inner(metric, r.parent.mean(columns(block(a.keys, g, c.width), g, c.width), true))
	}
	b := basis{encode: c.mixedPairs(features, random)}
	for i := 0; ; i++ {
		before := b.kept
		if err := a.fitMaps(ctx, &b); err != nil {
			return b, err
		}
		if i == rounds || b.kept-before < settled {
			return b, nil
		}
		if err := a.fitEncode(ctx, &b); err != nil {
			return b, err
		}
	}
}

// mixedPairs is an encode whose pair p is a sum of the groups' pairs p K/C, each times a random complex number: these
// commute with their turns.
func (c circuits) mixedPairs(features int, random *rng.Source) *factor.Matrix {
	z := factor.NewMatrix(features, c.groups*c.width)
	weight := make([]float64, 2)
	for p := range features / 2 {
		top, bottom := z.Row(p), z.Row(p+features/2)
		for g := range c.groups {
			l := g*c.width + p*c.width/features
			r := l + c.width/2
			rng.FillNormal(random, weight, 0, 1)
			top[l], top[r] = weight[0], -weight[1]
			bottom[l], bottom[r] = weight[1], weight[0]
		}
	}
	return z
}

// alternation is the state of rotatingBasis.
type alternation struct {
	circuits
	r       *rotation
	keys    *factor.Matrix   // Ck [G K, G K]
	metrics []*factor.Matrix // P_g [K, K]
	whole   float64          // the sum of squares without any features
}

// fitMaps finds the query maps, decode's T_gᵀ, for an encode: with A the mean of R'(-n) Z Ck Zᵀ R'(-n)ᵀ and Y_g that of
// R'(-n) Z Ck E_gᵀ R(-n)ᵀ, T_g = A⁻¹ Y_g, which leaves whole - sum_g <T_g, Y_g P_g>.
func (a *alternation) fitMaps(ctx context.Context, b *basis) error {
	seen := b.encode.Mul(a.keys) // [C, G K]
	b.moments = a.r.own.mean(seen.Mul(b.encode.Transpose()), true)
	inverse, err := powers(ctx, b.moments, -1)
	if err != nil {
		return err
	}
	turned := a.r.cross.mean(seen, true) // [C, G K]
	maps := inverse[0].Mul(turned)
	b.decode, b.kept = maps.Transpose(), 0
	for g, metric := range a.metrics {
		b.kept += inner(columns(maps, g, a.width), columns(turned, g, a.width).Mul(metric)) / math.Max(a.whole, math.SmallestNonzeroFloat64)
	}
	return nil
}

// fitEncode finds encode for the query maps: the means of R'(n) T_g P_g T_gᵀ R'(n)ᵀ, summed over groups, times Z are
// those of R'(n) T_g P_g R(n)ᵀ side by side.
func (a *alternation) fitEncode(ctx context.Context, b *basis) error {
	maps := b.decode.Transpose() // [C, G K]
	weighted, sum := factor.NewMatrix(maps.Rows, maps.Cols), factor.NewMatrix(maps.Rows, maps.Rows)
	for g, metric := range a.metrics {
		t := columns(maps, g, a.width)
		tp := t.Mul(metric) // [C, K]
		for i := range tp.Rows {
			copy(weighted.Row(i)[g*a.width:], tp.Row(i))
		}
		add(sum, tp.Mul(t.Transpose()))
	}
	inverse, err := powers(ctx, a.r.own.mean(sum, false), -1)
	if err != nil {
		return err
	}
	b.encode = inverse[0].Mul(a.r.cross.mean(weighted, false))
	return nil
}
