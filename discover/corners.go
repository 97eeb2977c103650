package discover

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// hopeless is a condition of corners that leaves no digit of p(y|x).
const hopeless = 1e6

// corners are classes as shares of domains and of cells.
type corners struct {
	vertices  *factor.Matrix // [K, r]: p(d|y) of equally likely domains
	prior     *factor.Matrix // [K, r]: p(y|d)
	cells     *factor.Matrix // [m, K]: p(cell|y)
	condition float64
}

// cornersOf factorizes counts [m, r]. Shares H = p(cell|d) are C W: successive projection on H by rows gives W up to scale, least
// squares C; its columns' sums go into W, whose columns sum to 1 then. Classes come by falling share.
func cornersOf(ctx context.Context, counts *factor.Matrix, k int, cfg Config) (*corners, error) {
	h := shares(counts)
	if cfg.Method == Random {
		f, err := factor.NMF(ctx, h, factor.NMFConfig{Rank: k, Seed: cfg.Seed, Iterations: 2000}, nil)
		if err != nil {
			return nil, err
		}
		return scaled(ctx, f.C, f.W)
	}
	s, err := factor.Separable(ctx, h, k, leastRow)
	if err != nil {
		return nil, err
	}
	return cornersFrom(ctx, h, s.Vertices)
}

// cornersFrom takes shares [m, r] for mixtures of corners [K, r].
func cornersFrom(ctx context.Context, h, w *factor.Matrix) (*corners, error) {
	c, err := factor.NonNegative(ctx, h, w, nil)
	if err != nil {
		return nil, err
	}
	return scaled(ctx, c, w)
}

// scaled makes shares of factors C [m, K] and W [K, r].
func scaled(ctx context.Context, c, w *factor.Matrix) (*corners, error) {
	k := w.Rows
	x := &corners{vertices: factor.NewMatrix(k, w.Cols), prior: factor.NewMatrix(k, w.Cols), cells: c}
	for y := range k {
		sum := 0.0
		for i := range c.Rows {
			sum += c.Row(i)[y]
		}
		if !(sum > 0) || !(kernel.Sum(w.Row(y)) > 0) {
			return nil, fmt.Errorf("class %d of %d is empty", y+1, k)
		}
		for i := range c.Rows {
			c.Row(i)[y] /= sum
		}
		for d, v := range w.Row(y) {
			x.prior.Row(y)[d] = v * sum
		}
	}
	normaliseColumns(x.prior)
	order := make([]int, k)
	for y := range order {
		order[y] = y
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(kernel.Sum(x.prior.Row(b)), kernel.Sum(x.prior.Row(a)))
	})
	x.reorder(order)
	var err error
	x.condition, err = conditionOf(ctx, x.vertices)
	return x, err
}

// leastRow is the share of the largest cell's mass below which a cell is too small to be a corner.
const leastRow = 0.02

// reorder puts class order[y] at y and makes the corners anew from the prior.
func (c *corners) reorder(order []int) {
	prior, cells := c.prior.Clone(), c.cells.Clone()
	for y, from := range order {
		copy(c.prior.Row(y), prior.Row(from))
		for i := range cells.Rows {
			c.cells.Row(i)[y] = cells.Row(i)[from]
		}
		sum := kernel.Sum(c.prior.Row(y))
		for d, v := range c.prior.Row(y) {
			c.vertices.Row(y)[d] = v / max(sum, 1e-300)
		}
	}
}

// normaliseColumns makes columns sum to 1; one of zeros becomes even.
func normaliseColumns(m *factor.Matrix) {
	for d := range m.Cols {
		sum := 0.0
		for y := range m.Rows {
			sum += m.Row(y)[d]
		}
		for y := range m.Rows {
			if sum > 0 {
				m.Row(y)[d] /= sum
			} else {
				m.Row(y)[d] = 1 / float64(m.Rows)
			}
		}
	}
}

// conditionOf is the largest over the least singular value.
func conditionOf(ctx context.Context, m *factor.Matrix) (float64, error) {
	if m.Rows > m.Cols {
		return math.Inf(1), nil
	}
	s, err := factor.ThinSVD(ctx, m, nil)
	if err != nil {
		return 0, err
	}
	return s.S[0] / max(s.S[len(s.S)-1], 1e-300), nil
}

// fill writes corners and priors of the kept domains to a model, and names the classes.
func (c *corners) fill(m *Model, domains []string) {
	for y := range c.prior.Rows {
		m.Classes = append(m.Classes, fmt.Sprintf("class %d", y+1))
		m.Vertices = append(m.Vertices, slices.Clone(c.vertices.Row(y)))
		row := make(Row, len(domains))
		for at, d := range m.Kept {
			row[d] = c.prior.Row(y)[at]
		}
		m.Prior = append(m.Prior, row)
	}
}

// emRounds are enough for the shares of one domain.
const emRounds = 200

// fold estimates the shares of domains that had no say: the likeliest mixture of its examples, p(x|y) ~ p(y|x) / p(y), by EM from even
// shares.
func (f *Found) fold(s Samples, t *sheet) {
	for d := range s.Names {
		if t.place[d] >= 0 {
			continue
		}
		var rows [][]float64
		for i, of := range s.Domain {
			if of == d {
				rows = append(rows, f.Posterior.Row(i))
			}
		}
		share := f.mixture(rows)
		for y := range share {
			f.Model.Prior[y][d] = share[y]
		}
	}
}

// mixture is the likeliest share of each class among examples.
func (f *Found) mixture(rows [][]float64) []float64 {
	k := len(f.Model.Classes)
	share := make([]float64, k)
	for y := range share {
		share[y] = 1 / float64(k)
	}
	for range emRounds {
		next := make([]float64, k)
		for _, p := range rows {
			sum := 0.0
			for y := range k {
				sum += share[y] * p[y] / max(f.Model.mean(y), 1e-12)
			}
			for y := range k {
				if sum > 0 {
					next[y] += share[y] * p[y] / max(f.Model.mean(y), 1e-12) / sum
				}
			}
		}
		total := kernel.Sum(next)
		if total == 0 {
			break // no example, or none that any class explains: nothing is known
		}
		for y := range next {
			share[y] = next[y] / total
		}
	}
	return share
}

// resamples are how often examples are drawn again for the error of the priors.
const resamples = 50

// uncertainty measures the standard error of p(y|d) over examples drawn again with replacement, the cells as they are, and what
// permuted domains give.
func (f *Found) uncertainty(ctx context.Context, s Samples, t *sheet, cell []int, base *corners, cfg Config) error {
	k, r := len(f.Model.Classes), len(s.Names)
	sum, squares := factor.NewMatrix(k, r), factor.NewMatrix(k, r)
	n := 0
	by := make([][]int, r) // examples of the small domains
	for i, d := range s.Domain {
		if t.place[d] < 0 {
			by[d] = append(by[d], i)
		}
	}
	for b := range resamples {
		if err := ctx.Err(); err != nil {
			return err
		}
		draw := rng.New(cfg.Seed, "discover/resample", uint64(b)<<40)
		counts := factor.NewMatrix(base.cells.Rows, len(t.kept))
		for range cell {
			i := draw.Intn(len(cell))
			counts.Row(cell[i])[t.domain[i]]++
		}
		c, err := cornersOf(ctx, counts, k, cfg)
		if err != nil {
			continue // too few different examples in this draw
		}
		c.reorder(alike(c, base))
		n++
		add := func(d int, y int, v float64) {
			sum.Row(y)[d] += v
			squares.Row(y)[d] += v * v
		}
		for y := range k {
			for at, d := range t.kept {
				add(d, y, c.prior.Row(y)[at])
			}
		}
		for d, mine := range by {
			rows := make([][]float64, len(mine))
			for i := range rows {
				rows[i] = f.Posterior.Row(mine[draw.Intn(len(mine))])
			}
			if t.place[d] < 0 {
				for y, v := range f.mixture(rows) {
					add(d, y, v)
				}
			}
		}
	}
	f.Error = factor.NewMatrix(k, r)
	for i := range f.Error.Data {
		mean := sum.Data[i] / float64(max(n, 1))
		f.Error.Data[i] = math.Sqrt(max(0, squares.Data[i]/float64(max(n, 1))-mean*mean))
	}
	for d, mine := range by { // few examples, drawn again, look surer than they are
		for y := range k {
			if len(mine) > 0 || t.place[d] < 0 {
				share := f.Model.Prior[y][d]
				size := float64(len(mine))
				f.Error.Row(y)[d] = max(f.Error.Row(y)[d], math.Sqrt((share*(1-share)*size+1)/((size+1)*(size+1))))
			}
		}
	}
	f.Spread = spread(base.prior)
	for n := range permutations {
		counts := tally(cell, shuffled(t.domain, rng.New(cfg.Seed, "discover/control", uint64(n)<<40)), base.cells.Rows, len(t.kept))
		c, err := cornersOf(ctx, counts, k, cfg)
		if err != nil {
			continue
		}
		f.Control = max(f.Control, spread(c.prior))
	}
	return nil
}

// alike orders the classes of c as those of base with which they share most of their cells.
func alike(c, base *corners) []int {
	k := base.prior.Rows
	overlap := make([][]float64, k)
	for y := range overlap {
		overlap[y] = make([]float64, k)
		for z := range k {
			for i := range c.cells.Rows {
				overlap[y][z] += min(base.cells.Row(i)[y], c.cells.Row(i)[z])
			}
		}
	}
	return Match(overlap)
}

// spread is the mean distance of shares from their mean over domains.
func spread(prior *factor.Matrix) float64 {
	sum := 0.0
	for y := range prior.Rows {
		mean := kernel.Sum(prior.Row(y)) / float64(prior.Cols)
		for _, v := range prior.Row(y) {
			sum += math.Abs(v - mean)
		}
	}
	return sum / float64(len(prior.Data))
}
