package op

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Rankings are the losses of [Ranking].
var Rankings = []string{"bpr", "bpo", "smoothed_bpo", "nbpo", "nbpo_o", "nbpo_s", "softmax"}

// Flips tells whether a ranking loss wants the scores of flips.
func Flips(kind string) bool { return kind == "nbpo" || kind == "nbpo_o" || kind == "nbpo_s" }

// Ranking is the loss of candidates of which the first of each row was chosen and the others, drawn, were not. It is a sum over the
// pairs of the first with each other one; σ is the logistic function, r the score of the first, q of the other:
//
//	bpr           -log σ(r - q)                                    (Rendle et al. 2009)
//	bpo           -log σ(r) - log σ(-q)
//	smoothed_bpo  -(1-c) log σ(r) - c log σ(q) - log σ(-q): what was not chosen is so with chance c though it is liked, a constant
//	softmax       log Σ exp(scores) - r, once for all others of the row, times their number
//
// Those of Yu and Qin, "Sampler Design for Implicit Feedback Data by Noisy-label Robust Learning" (SIGIR 2020), learn that chance for
// each pair with scores of its own: σ(γ) of the first, σ(δ) of the other. p = σ(-q) + σ(q) σ(δ) is the likelihood that the other was
// not chosen.
//
//	nbpo_o        -log σ(r) - log σ(-γ) - log p                    exact
//	nbpo_s        (1 - σ(r) σ(-γ)) + (1 - p)                       sums of likelihoods
//	nbpo          -[σ(-γ)] log σ(r) - [σ(r)] log σ(-γ) - [σ(δ)] log σ(q) - log σ(-q) - [σ(q)] log σ(δ)
//
// of which the weights in brackets are held: no gradient goes through them.
//
// scores [B, C], flips [B, C] or nil -> loss [1].
func Ranking(t *Tape, kind string, c float64, scores, flips *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return ranking[float32](t, kind, c, scores, flips)
	}
	return ranking[float64](t, kind, c, scores, flips)
}

func ranking[T kernel.Float](t *Tape, kind string, c float64, scores, flips *G.Node) *G.Node {
	rows, many := matrix("ranking", "scores", scores)
	if many < 2 {
		panic(&ShapeError{"ranking", "scores", scores.Shape(), "[B, 2 or more]"})
	}
	if !slices.Contains(Rankings, kind) {
		panic(fmt.Sprintf("op: ranking loss %q", kind))
	}
	in := G.Nodes{scores}
	if Flips(kind) {
		wantShape("ranking", "flips", flips, rows, many)
		in = append(in, flips)
	}
	o := t.operator("ranking", tensor.Shape{1})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		s, f := rankingInputs[T](in)
		parts := make([]float64, (rows+bagGrain-1)/bagGrain)
		kernel.Ranges(rows, bagGrain, func(lo, hi int) {
			for b := lo; b < hi; b++ {
				parts[lo/bagGrain] += rankRow(kind, c, part(s, b, many), part(f, b, many), nil, nil, 0)
			}
		})
		var loss float64
		for _, p := range parts {
			loss += p
		}
		data[T](out)[0] = T(loss)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		grads := make(G.Nodes, len(in))
		for i := range in {
			if !o.wants(i) {
				continue
			}
			back := t.operator("ranking.grad", tensor.Shape{rows, many})
			back.run = func(in []G.Value, out *tensor.Dense) error {
				last := len(in) - 1
				s, f := rankingInputs[T](in[:last])
				scale, to := float64(data[T](in[last])[0]), data[T](out)
				kernel.Ranges(rows, bagGrain, func(lo, hi int) {
					other := make([]T, many) // the gradient that is not asked for
					for b := lo; b < hi; b++ {
						ds, df := part(to, b, many), other
						if i == 1 {
							ds, df = other, ds
						}
						clear(ds)
						clear(df)
						rankRow(kind, c, part(s, b, many), part(f, b, many), ds, df, scale)
					}
				})
				return nil
			}
			grads[i] = t.apply(back, append(slices.Clone(in), dy)...)
		}
		return grads
	}
	return t.apply(o, in...)
}

// rankingInputs are the scores and, if there are, the flips.
func rankingInputs[T kernel.Float](in []G.Value) (s, f []T) {
	s = data[T](in[0])
	if len(in) > 1 {
		f = data[T](in[1])
	}
	return s, f
}

// part is row b of a matrix, nil of none.
func part[T any](x []T, b, many int) []T {
	if x == nil {
		return nil
	}
	return x[b*many : (b+1)*many]
}

// rankRow is the loss of a row, and adds its gradients times scale to ds and df unless ds is nil.
func rankRow[T kernel.Float](kind string, c float64, s, f, ds, df []T, scale float64) (loss float64) {
	to := func(d []T, i int, x float64) {
		if d != nil {
			d[i] += T(scale * x)
		}
	}
	r, others := float64(s[0]), len(s)-1
	if kind == "softmax" {
		most := float64(slices.Max(s))
		var sum float64
		for _, x := range s {
			sum += math.Exp(float64(x) - most)
		}
		for i, x := range s {
			to(ds, i, float64(others)*math.Exp(float64(x)-most)/sum)
		}
		to(ds, 0, -float64(others))
		return float64(others) * (most + math.Log(sum) - r)
	}
	pr := logistic(r)
	for i := 1; i <= others; i++ {
		q := float64(s[i])
		pq := logistic(q)
		switch kind {
		case "bpr":
			loss += softplus(q - r)
			g := logistic(q - r)
			to(ds, 0, -g)
			to(ds, i, g)
		case "bpo":
			loss += softplus(-r) + softplus(q)
			to(ds, 0, pr-1)
			to(ds, i, pq)
		case "smoothed_bpo":
			loss += (1-c)*softplus(-r) + c*softplus(-q) + softplus(q)
			to(ds, 0, (1-c)*(pr-1))
			to(ds, i, (1+c)*pq-c)
		default:
			gamma, delta := float64(f[0]), float64(f[i])
			pg, pd := logistic(gamma), logistic(delta)
			p := 1 - pq + pq*pd // not chosen
			switch kind {
			case "nbpo_o":
				loss += softplus(-r) + softplus(gamma) - math.Log(p)
				to(ds, 0, pr-1)
				to(df, 0, pg)
				to(ds, i, (1-pd)*pq*(1-pq)/p)
				to(df, i, -pd*(1-pd)*pq/p)
			case "nbpo_s":
				loss += 1 - pr*(1-pg) + 1 - p
				to(ds, 0, -(1-pg)*pr*(1-pr))
				to(df, 0, pr*pg*(1-pg))
				to(ds, i, (1-pd)*pq*(1-pq))
				to(df, i, -pd*(1-pd)*pq)
			case "nbpo":
				loss += (1-pg)*softplus(-r) + pr*softplus(gamma) + pd*softplus(-q) + softplus(q) + pq*softplus(-delta)
				to(ds, 0, (1-pg)*(pr-1))
				to(df, 0, pr*pg)
				to(ds, i, pq-pd*(1-pq))
				to(df, i, pq*(pd-1))
			}
		}
	}
	return loss
}

// logistic is σ(x) = 1 / (1 + exp(-x)).
func logistic(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// softplus is log(1 + exp(x)) = -log σ(-x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
