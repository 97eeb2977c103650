package main

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// Settings of the clustering head: Van Gansbeke et al. 2020 (SCAN) train theirs with 20 neighbours and a weight of 5 on the entropy.
const (
	nearest       = 20
	entropyWeight = 5
	headSteps     = 200
	headRestarts  = 3
	headRate      = 0.02
)

// neighbours clusters features as SCAN trains its head: a softmax p(x) whose answers to an example and to one of its nearest
// neighbours agree, and which uses all clusters alike,
//
//	min -mean log(p(x)ᵀ p(x')) + 5 sum_c m_c log m_c,  m = mean p(x),
//
// by Adam on all examples, each with another neighbour in every step. The head with the least loss of three starts is kept.
func neighbours(ctx context.Context, x *factor.Matrix, k int, seed uint64) ([]int, error) {
	near, err := nearestOf(ctx, x)
	if err != nil {
		return nil, err
	}
	scaled := x.Clone()
	rms := math.Sqrt(squares(x.Data) / float64(len(x.Data)))
	for i := range scaled.Data {
		scaled.Data[i] /= rms
	}
	var best []int
	least := math.Inf(1)
	for start := range headRestarts {
		h := newClusterHead(scaled, k, rng.New(seed, "claims/shift/neighbours", uint64(start)<<40))
		loss := 0.0
		for step := range headSteps {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			loss = h.step(near, step)
		}
		if loss < least {
			least, best = loss, h.labels()
		}
	}
	return best, nil
}

func squares(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// nearestOf are the nearest neighbours of each row by cosine.
func nearestOf(ctx context.Context, x *factor.Matrix) ([][]int, error) {
	unit := x.Clone()
	for i := range unit.Rows {
		n := math.Sqrt(max(squares(unit.Row(i)), 1e-300))
		for d := range unit.Row(i) {
			unit.Row(i)[d] /= n
		}
	}
	t := unit.Transpose()
	near := make([][]int, x.Rows)
	const block = 256
	for lo := 0; lo < x.Rows; lo += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(block, x.Rows-lo)
		cosines := (&factor.Matrix{Rows: n, Cols: x.Cols, Data: unit.Data[lo*x.Cols : (lo+n)*x.Cols]}).Mul(t)
		for i := range n {
			row := cosines.Row(i)
			row[lo+i] = math.Inf(-1)
			for range min(nearest, x.Rows-1) {
				best := 0
				for j, v := range row {
					if v > row[best] {
						best = j
					}
				}
				near[lo+i] = append(near[lo+i], best)
				row[best] = math.Inf(-1)
			}
		}
	}
	return near, nil
}

// clusterHead is a linear softmax under training.
type clusterHead struct {
	x       *factor.Matrix
	k       int
	w, m, v []float64 // [D+1][k] with the bias last, and Adam's moments
	draw    *rng.Source
}

func newClusterHead(x *factor.Matrix, k int, draw *rng.Source) *clusterHead {
	n := (x.Cols + 1) * k
	h := &clusterHead{x: x, k: k, w: make([]float64, n), m: make([]float64, n), v: make([]float64, n), draw: draw}
	rng.FillNormal(draw, h.w[:x.Cols*k], 0, 1/math.Sqrt(float64(x.Cols)))
	return h
}

// answers are p(x) of all examples.
func (h *clusterHead) answers() *factor.Matrix {
	p := h.x.Mul(&factor.Matrix{Rows: h.x.Cols, Cols: h.k, Data: h.w[:h.x.Cols*h.k]})
	bias := h.w[h.x.Cols*h.k:]
	for i := range p.Rows {
		row, most, sum := p.Row(i), math.Inf(-1), 0.0
		for c := range row {
			row[c] += bias[c]
			most = max(most, row[c])
		}
		for c := range row {
			row[c] = math.Exp(row[c] - most)
			sum += row[c]
		}
		for c := range row {
			row[c] /= sum
		}
	}
	return p
}

// headLoss is the loss with the given neighbour of each example, and its derivative by p.
func headLoss(p *factor.Matrix, other []int) (loss float64, dp *factor.Matrix) {
	n := float64(p.Rows)
	dp = factor.NewMatrix(p.Rows, p.Cols)
	mean := make([]float64, p.Cols)
	for i, j := range other {
		a, b, dot := p.Row(i), p.Row(j), 1e-12
		for c := range a {
			dot += a[c] * b[c]
			mean[c] += a[c] / n
		}
		loss -= math.Log(dot) / n
		for c := range a {
			dp.Row(i)[c] -= b[c] / dot / n
			dp.Row(j)[c] -= a[c] / dot / n
		}
	}
	for c, m := range mean {
		loss += entropyWeight * m * math.Log(m+1e-12)
		for i := range p.Rows {
			dp.Row(i)[c] += entropyWeight * (math.Log(m+1e-12) + m/(m+1e-12)) / n
		}
	}
	return loss, dp
}

// step is one of Adam's.
func (h *clusterHead) step(near [][]int, step int) float64 {
	p := h.answers()
	other := make([]int, p.Rows)
	for i := range other {
		other[i] = near[i][h.draw.Intn(len(near[i]))]
	}
	loss, dp := headLoss(p, other)
	for i := range p.Rows { // by the scores: p (dp - pᵀ dp)
		row, d, dot := p.Row(i), dp.Row(i), 0.0
		for c := range row {
			dot += row[c] * d[c]
		}
		for c := range row {
			d[c] = row[c] * (d[c] - dot)
		}
	}
	g := h.x.Transpose().Mul(dp).Data
	bias := make([]float64, h.k)
	for i := range dp.Rows {
		for c, v := range dp.Row(i) {
			bias[c] += v
		}
	}
	const beta1, beta2 = 0.9, 0.999
	for i, v := range append(g, bias...) {
		h.m[i] = beta1*h.m[i] + (1-beta1)*v
		h.v[i] = beta2*h.v[i] + (1-beta2)*v*v
		m, s := h.m[i]/(1-math.Pow(beta1, float64(step+1))), h.v[i]/(1-math.Pow(beta2, float64(step+1)))
		h.w[i] -= headRate * m / (math.Sqrt(s) + 1e-8)
	}
	return loss
}

func (h *clusterHead) labels() []int {
	p := h.answers()
	of := make([]int, p.Rows)
	for i := range of {
		for c, v := range p.Row(i) {
			if v > p.Row(i)[of[i]] {
				of[i] = c
			}
		}
	}
	return of
}
