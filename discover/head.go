package discover

import (
	"context"
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// Head is a linear classifier of features, with which a network of frozen features tells domains apart.
type Head struct {
	Weight []Row   `json:"weight"` // [r][D]
	Bias   Row     `json:"bias"`   // [r]
	Decay  float64 `json:"decay"`  // that was chosen
	Loss   float64 `json:"loss"`   // mean -log p of the held out examples
}

// headDecays are what is tried, from the strongest.
var headDecays = []float64{1, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4}

// headIterations bound the search for each decay.
const headIterations = 150

// FitHead finds the softmax classifier of features x [n, D] that says the domains best,
//
//	min mean(-log p(d|x)) + decay/2 ||W||²,
//
// by L-BFGS (Liu and Nocedal 1989) from zero, for decays from 1 to 1e-4, each from the last one's solution; that with the least loss
// on held out examples is kept. Features are divided by their root mean square before, so that a decay means the same whatever they are
// measured in; the weights are of the features as they are.
func FitHead(ctx context.Context, x *factor.Matrix, domain []int, r int, heldX *factor.Matrix, held []int) (*Head, error) {
	if len(domain) != x.Rows || len(held) != heldX.Rows || heldX.Cols != x.Cols || r < 2 {
		return nil, fmt.Errorf("discover: %w: head: %d x %d features with %d domains, held out %d x %d with %d", ErrInput, x.Rows, x.Cols, len(domain), heldX.Rows, heldX.Cols, len(held))
	}
	if !kernel.AllFinite(x.Data) || !kernel.AllFinite(heldX.Data) {
		return nil, fmt.Errorf("discover: %w: head: a feature is no finite number", ErrInput)
	}
	scale := math.Sqrt(kernel.SumSquares(x.Data) / float64(len(x.Data)))
	if scale == 0 {
		return nil, fmt.Errorf("discover: %w: head: all features are zero", ErrInput)
	}
	own := x
	x = x.Clone()
	kernel.Scale(1/scale, x.Data)
	size := r * (own.Cols + 1)
	theta := make([]float64, size)
	var best *Head
	for _, decay := range headDecays {
		p := &headProblem{x: x, domain: domain, r: r, decay: decay, logits: factor.NewMatrix(x.Rows, r)}
		if err := descend(ctx, p.value, theta); err != nil {
			return nil, err
		}
		h := &Head{Weight: make([]Row, r), Bias: append(Row(nil), theta[r*x.Cols:]...), Decay: decay}
		for d := range h.Weight {
			h.Weight[d] = append(Row(nil), theta[d*x.Cols:(d+1)*x.Cols]...)
			kernel.Scale(1/scale, h.Weight[d])
		}
		h.Loss = lossOf(h.Probabilities(heldX), held)
		if best == nil || h.Loss < best.Loss {
			best = h
		}
	}
	return best, nil
}

// Probabilities are p(d|x) of features.
func (h *Head) Probabilities(x *factor.Matrix) *factor.Matrix {
	p := factor.NewMatrix(x.Rows, len(h.Bias))
	for i := range p.Rows {
		for d, w := range h.Weight {
			p.Row(i)[d] = kernel.Dot(w, x.Row(i)) + h.Bias[d]
		}
		softmax(p.Row(i))
	}
	return p
}

// Check says what is wrong with a head of r domains that was read from a file.
func (h *Head) Check(r int) error {
	if len(h.Weight) != r || len(h.Bias) != r || len(h.Weight[0]) == 0 {
		return fmt.Errorf("discover: %w: a head with %d weights and %d biases; want %d", ErrInput, len(h.Weight), len(h.Bias), r)
	}
	for d, row := range h.Weight {
		if len(row) != len(h.Weight[0]) || !kernel.AllFinite(row) || !kernel.Finite(h.Bias[d]) {
			return fmt.Errorf("discover: %w: a head whose weights of domain %d are %d finite numbers or not; want %d", ErrInput, d, len(row), len(h.Weight[0]))
		}
	}
	return nil
}

// softmax in place; returns log of the sum of exponentials.
func softmax(row []float64) float64 {
	most := math.Inf(-1)
	for _, v := range row {
		most = max(most, v)
	}
	sum := 0.0
	for k, v := range row {
		row[k] = math.Exp(v - most)
		sum += row[k]
	}
	kernel.Scale(1/sum, row)
	return most + math.Log(sum)
}

// lossOf is the mean of -log p.
func lossOf(p *factor.Matrix, domain []int) float64 {
	sum := 0.0
	for i, d := range domain {
		sum -= math.Log(max(p.Row(i)[d], 1e-300))
	}
	return sum / float64(len(domain))
}

// headProblem is what a head minimises.
type headProblem struct {
	x      *factor.Matrix
	domain []int
	r      int
	decay  float64
	logits *factor.Matrix
}

// value is the loss at theta, the weights and then the biases, and its gradient.
func (p *headProblem) value(theta, gradient []float64) float64 {
	n, width := p.x.Rows, p.x.Cols
	w, b := theta[:p.r*width], theta[p.r*width:]
	kernel.Gemm(false, true, n, p.r, width, 1, p.x.Data, width, w, width, 0, p.logits.Data, p.r)
	loss := 0.0
	gb := gradient[p.r*width:]
	clear(gb)
	for i, d := range p.domain {
		row := p.logits.Row(i)
		kernel.Axpy(1, b, row)
		own := row[d]
		loss += softmax(row) - own
		row[d]--
		kernel.Axpy(1, row, gb)
	}
	kernel.Gemm(true, false, p.r, width, n, 1/float64(n), p.logits.Data, p.r, p.x.Data, width, 0, gradient, width)
	kernel.Scale(1/float64(n), gb)
	kernel.Axpy(p.decay, w, gradient[:p.r*width])
	return loss/float64(n) + p.decay/2*kernel.SumSquares(w)
}

// descend lowers a smooth convex function from x, in place, by L-BFGS of ten pairs with steps that halve until they help enough
// (Armijo).
func descend(ctx context.Context, f func(x, gradient []float64) float64, x []float64) error {
	const pairs, enough = 10, 1e-4
	n := len(x)
	g, next, nextG, direction := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	var s, y [][]float64
	value := f(x, g)
	for range headIterations {
		if err := ctx.Err(); err != nil {
			return err
		}
		copy(direction, g)
		alpha := make([]float64, len(s))
		for i := len(s) - 1; i >= 0; i-- {
			alpha[i] = kernel.Dot(s[i], direction) / kernel.Dot(s[i], y[i])
			kernel.Axpy(-alpha[i], y[i], direction)
		}
		if last := len(s) - 1; last >= 0 {
			kernel.Scale(kernel.Dot(s[last], y[last])/kernel.Dot(y[last], y[last]), direction)
		}
		for i := range s {
			kernel.Axpy(alpha[i]-kernel.Dot(y[i], direction)/kernel.Dot(s[i], y[i]), s[i], direction)
		}
		slope := kernel.Dot(direction, g)
		if !(slope > 1e-14*(1+math.Abs(value))) {
			return nil
		}
		step, lower := 1.0, math.Inf(1)
		for range 40 {
			copy(next, x)
			kernel.Axpy(-step, direction, next)
			if lower = f(next, nextG); lower <= value-enough*step*slope {
				break
			}
			step /= 2
		}
		if !(lower < value) {
			return nil
		}
		ds, dy := make([]float64, n), make([]float64, n)
		for i := range n {
			ds[i], dy[i] = next[i]-x[i], nextG[i]-g[i]
		}
		if kernel.Dot(ds, dy) > 1e-12*kernel.Dot(dy, dy) {
			s, y = append(s, ds), append(y, dy)
			if len(s) > pairs {
				s, y = s[1:], y[1:]
			}
		}
		small := value-lower < 1e-7*math.Abs(value)
		value = lower
		copy(x, next)
		copy(g, nextG)
		if small {
			return nil
		}
	}
	return nil
}
