package discover

import (
	"context"
	"errors"
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// ErrInput marks what no data should look like.
var ErrInput = errors.New("bad input")

// Model tells classes of new examples from what the network says of their domain.
type Model struct {
	Domains  []string `json:"domains"`         // all that the network tells apart, in its order
	Kept     []int    `json:"kept"`            // those that are compared, ascending
	Sizes    []int    `json:"sizes,omitempty"` // of training, of each domain; none: equal
	Classes  []string `json:"classes"`
	Vertices []Row    `json:"vertices"` // [K][kept]: p(d|y) where all kept domains are equally likely
	Prior    []Row    `json:"prior"`    // [K][domains]: p(y|d)

	// Temperature divides the network's scores: above 1 it was too sure.
	Temperature float64 `json:"temperature"`

	// Head tells domains apart by a network's features; nil: the network does itself.
	Head *Head `json:"head,omitempty"`
}

// Row are numbers of a class.
type Row []float64

// Check says what is wrong with a model that was read from a file.
func (m *Model) Check() error {
	r, k := len(m.Domains), len(m.Classes)
	if r < 2 || k < 1 || len(m.Kept) < 1 || len(m.Kept) > r || len(m.Vertices) != k || len(m.Prior) != k || m.Sizes != nil && len(m.Sizes) != r {
		return fmt.Errorf("discover: %w: %d domains, %d of them kept, %d classes with %d corners and %d priors; want one of each for every class", ErrInput, r, len(m.Kept), k, len(m.Vertices), len(m.Prior))
	}
	last := -1
	for _, d := range m.Kept {
		if d <= last || d >= r {
			return fmt.Errorf("discover: %w: kept domains %v; want rising numbers below %d", ErrInput, m.Kept, r)
		}
		last = d
	}
	for y := range k {
		if len(m.Vertices[y]) != len(m.Kept) || len(m.Prior[y]) != r {
			return fmt.Errorf("discover: %w: class %q has a corner of %d numbers and %d priors; want %d and %d", ErrInput, m.Classes[y], len(m.Vertices[y]), len(m.Prior[y]), len(m.Kept), r)
		}
		for _, v := range append(append([]float64(nil), m.Vertices[y]...), m.Prior[y]...) {
			if !(v >= 0 && v <= 1) {
				return fmt.Errorf("discover: %w: class %q has the probability %v", ErrInput, m.Classes[y], v)
			}
		}
	}
	if m.Head != nil {
		if err := m.Head.Check(r); err != nil {
			return err
		}
	}
	if !(m.Temperature > 0) || math.IsInf(m.Temperature, 0) {
		return fmt.Errorf("discover: %w: temperature = %v; want a number above 0", ErrInput, m.Temperature)
	}
	return nil
}

// vertices as a matrix [K, kept].
func (m *Model) vertices() *factor.Matrix {
	v := factor.NewMatrix(len(m.Vertices), len(m.Kept))
	for y, row := range m.Vertices {
		copy(v.Row(y), row)
	}
	return v
}

// Posterior is p(y|x) [n, K] of examples of which the network says p(d|x) [n, r], calibrated: the weights of the corners at the point
// of the simplex that is nearest to q. No weight is negative, as those of a pseudo-inverse may be.
func (m *Model) Posterior(ctx context.Context, said *factor.Matrix) (*factor.Matrix, error) {
	if said.Cols != len(m.Domains) {
		return nil, fmt.Errorf("discover: %w: probabilities of %d domains, want %d", ErrInput, said.Cols, len(m.Domains))
	}
	return factor.OnSimplex(ctx, equalised(said, m.Kept, m.Sizes), m.vertices(), nil)
}

// Known turns p(y|x) into p(y|x,d) ~ p(y|x) p(y|d) / p(y) in place, where p(y) is the mean over the kept domains. Where all of it is
// zero it stays p(y|x).
func (m *Model) Known(p []float64, domain int) {
	known := make([]float64, len(p))
	for y := range known {
		if mean := m.mean(y); mean > 0 {
			known[y] = p[y] * m.Prior[y][domain] / mean
		}
	}
	if sum := kernel.Sum(known); sum > 0 {
		for y := range p {
			p[y] = known[y] / sum
		}
	}
}

// mean is p(y) if every kept domain is equally likely.
func (m *Model) mean(y int) float64 {
	sum := 0.0
	for _, d := range m.Kept {
		sum += m.Prior[y][d]
	}
	return sum / float64(len(m.Kept))
}

// Calibrate finds the temperature T that makes p(d|x)^(1/T), to sum 1, say the true domains best: the least mean of -log p over the
// rows, between 1/20 and 20. It returns that mean before and after.
func Calibrate(p *factor.Matrix, domain []int) (temperature, before, after float64) {
	loss := func(log float64) float64 {
		t, sum := math.Exp(log), 0.0
		for i, d := range domain {
			row := p.Row(i)
			most := 0.0
			for _, v := range row {
				most = max(most, v)
			}
			z := 0.0
			for _, v := range row {
				z += math.Pow(v/most, 1/t)
			}
			sum -= math.Log(max(row[d]/most, 1e-300))/t - math.Log(z)
		}
		return sum / float64(len(domain))
	}
	low, high := -math.Log(20), math.Log(20) // the loss is convex in 1/T, so it has one valley in log T
	const golden = 0.6180339887498949
	a, b := high-golden*(high-low), low+golden*(high-low)
	la, lb := loss(a), loss(b)
	for high-low > 1e-4 {
		if la <= lb {
			high, b, lb = b, a, la
			a = high - golden*(high-low)
			la = loss(a)
		} else {
			low, a, la = a, b, lb
			b = low + golden*(high-low)
			lb = loss(b)
		}
	}
	at := (low + high) / 2
	return math.Exp(at), loss(0), loss(at)
}

// Temper replaces each row of p by p^(1/T), to sum 1.
func Temper(p *factor.Matrix, temperature float64) {
	for i := range p.Rows {
		row := p.Row(i)
		most := 0.0
		for _, v := range row {
			most = max(most, v)
		}
		sum := 0.0
		for k, v := range row {
			row[k] = math.Pow(v/most, 1/temperature)
			sum += row[k]
		}
		kernel.Scale(1/sum, row)
	}
}
