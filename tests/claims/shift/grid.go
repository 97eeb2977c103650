package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/configs"
	"sparrow/discover"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/recipe"
)

// Claim is lls-ddfa.toml.
type Claim struct {
	Title     string `toml:"title"`
	Statement string `toml:"statement"`
	Paper     string `toml:"paper"`

	Seeds       int       `toml:"seeds"`        // draws of each cell
	MaxExamples int       `toml:"max_examples"` // of a data set
	Alphas      []float64 `toml:"alphas"`       // shares of the K classes are drawn from Dirichlet(alpha/K)
	Domains     []int     `toml:"domains"`      // in multiples of K
	Condition   float64   `toml:"condition"`    // shares with a larger one are drawn again

	// How a discriminator is trained in full; data, task and seed are the cell's.
	Texts  recipe.Config `toml:"texts"`
	Images recipe.Config `toml:"images"`

	Subjects []Subject `toml:"subject"`
	Expect   []Expect  `toml:"expect"`
}

// Subject is a data set.
type Subject struct {
	Name    string      `toml:"name"`
	Data    recipe.Data `toml:"data"`
	Classes []string    `toml:"classes"` // of the data set; empty: all

	// FileFrom names an environment variable with the file or folder of the data, where no module has it.
	FileFrom string `toml:"file_from"`
}

// Expect is a bound on the mean over the cells that it names.
type Expect struct {
	Method  string  `toml:"method"`
	Than    string  `toml:"than"` // the bound is on the difference; empty: on the value
	Of      string  `toml:"of"`   // accuracy or distance
	Subject string  `toml:"subject"`
	Alpha   float64 `toml:"alpha"`  // 0: all
	Joined  bool    `toml:"joined"` // pairs of classes as one
	AtLeast float64 `toml:"at_least"`
	AtMost  float64 `toml:"at_most"`
}

// Validate implements the check of a config.
func (c Claim) Validate(r *configs.Report) {
	if c.Seeds < 2 || c.MaxExamples < 100 || len(c.Alphas) == 0 || len(c.Domains) == 0 || len(c.Subjects) == 0 || !(c.Condition > 1) {
		r.Errorf("seeds", "or another size of the grid is too small: want 2 seeds, 100 examples, alphas, domains, subjects and a condition above 1")
	}
	for i, e := range c.Expect {
		if e.Method != trained && !slices.Contains(methods, e.Method) || e.Than != "" && !slices.Contains(methods, e.Than) {
			r.Errorf(fmt.Sprintf("expect.%d.method", i), "or than is none of %v", methods)
		}
		if e.Of != "accuracy" && e.Of != "distance" || (e.AtLeast != 0) == (e.AtMost != 0) {
			r.Errorf(fmt.Sprintf("expect.%d.of", i), "wants accuracy or distance, and at_least or at_most")
		}
	}
}

// cell is a place of the grid.
type cell struct {
	Subject string
	Alpha   float64
	Domains int // r
	Classes int // K
	Joined  bool
	Seed    int
}

// methods that are compared, in the order of the tables.
var methods = []string{"separable", "random", "k-means of features", "k-means of p(d|x)", "neighbours", "supervised"}

// trained is the way of separable with a discriminator that is trained in full, in some cells.
const trained = "trained in full"

// measured is what a method reached.
type measured struct {
	Method   string  `json:"method"`
	Accuracy float64 `json:"accuracy"` // of held out examples; 0: refused
	Distance float64 `json:"distance"` // mean over domains of sum |found - true| shares
	Refused  string  `json:"refused,omitempty"`
}

// deal assigns examples to r domains of equal size by shares of their classes, and returns those used, their domains and the shares.
func deal(ctx context.Context, class []int, k, r, most int, alpha, limit float64, seed uint64) (used, domain []int, share *factor.Matrix, err error) {
	pools := make([][]int, k)
	draw := rng.New(seed, "claims/shift/deal", 0)
	for i, y := range class {
		pools[y] = append(pools[y], i)
	}
	for _, p := range pools {
		for i := range p {
			j := i + draw.Intn(len(p)-i)
			p[i], p[j] = p[j], p[i]
		}
	}
	share = factor.NewMatrix(k, r)
	for try := 0; ; try++ {
		if try == 10000 {
			return nil, nil, nil, fmt.Errorf("no shares of %d classes in %d domains with alpha %g have a condition below %g and use for %.0f%% of the examples", k, r, alpha, limit, 100*leastUsed)
		}
		again := rng.New(seed, "claims/shift/shares", uint64(try)<<40)
		for d := range r {
			for y, v := range dirichlet(again, alpha/float64(k), k) {
				share.Row(y)[d] = v
			}
		}
		s, err := factor.ThinSVD(ctx, share, nil)
		if err != nil {
			return nil, nil, nil, err
		}
		if s.S[0] < limit*s.S[len(s.S)-1] && enough(pools, share) >= leastUsed*float64(min(most, len(class))) {
			break
		}
	}
	for range most { // domain by domain in turn, until a class that is wanted has run out
		d := len(used) % r
		u, y := draw.Float64(), 0
		for ; y < k-1; y++ {
			if u -= share.Row(y)[d]; u < 0 {
				break
			}
		}
		if len(pools[y]) == 0 {
			break
		}
		used, domain = append(used, pools[y][0]), append(domain, d)
		pools[y] = pools[y][1:]
	}
	if len(used) < 2*r {
		return nil, nil, nil, fmt.Errorf("%d examples for %d domains: a class runs out", len(used), r)
	}
	return used, domain, share, nil
}

// leastUsed is the share of the examples that a draw of shares must have use for: one that wants most of a single class has little.
const leastUsed = 0.3

// enough is how many examples there are for shares of domains of equal size.
func enough(pools [][]int, share *factor.Matrix) float64 {
	least := math.Inf(1)
	for y, p := range pools {
		mean := 0.0
		for _, v := range share.Row(y) {
			mean += v / float64(share.Cols)
		}
		least = min(least, float64(len(p))/max(mean, 1e-12))
	}
	return least
}

// dirichlet draws from Dir(alpha, ..., alpha) by the gamma draws of Marsaglia and Tsang (2000).
func dirichlet(r *rng.Source, alpha float64, k int) []float64 {
	logs, most := make([]float64, k), math.Inf(-1)
	for i := range logs {
		d := alpha + 2.0/3 // of alpha + 1, brought down by u^(1/alpha)
		c := 1 / math.Sqrt(9*d)
		for {
			var x [1]float64
			rng.FillNormal(r, x[:], 0, 1)
			v := math.Pow(1+c*x[0], 3)
			if u := r.Float64(); v > 0 && math.Log(u) < x[0]*x[0]/2+d-d*v+d*math.Log(v) {
				logs[i] = math.Log(d*v) + math.Log(r.Float64()+1e-300)/alpha
				break
			}
		}
		most = max(most, logs[i])
	}
	sum := 0.0
	for i := range logs {
		logs[i] = math.Exp(logs[i] - most)
		sum += logs[i]
	}
	for i := range logs {
		logs[i] /= sum
	}
	return logs
}

// heldShare of each cell's examples only measure.
const heldShare = 0.3

// measure makes one cell: all methods on the same examples.
func measure(ctx context.Context, x *factor.Matrix, class []int, c cell, claim *Claim) ([]measured, error) {
	seed := uint64(c.Seed)
	used, domain, share, err := deal(ctx, class, c.Classes, c.Domains, claim.MaxExamples, c.Alpha, claim.Condition, seed)
	if err != nil {
		return nil, err
	}
	e := &experiment{k: c.Classes, share: share, seed: seed}
	e.x, e.domain = factor.NewMatrix(len(used), x.Cols), domain
	for i, at := range used {
		copy(e.x.Row(i), x.Row(at))
		e.class = append(e.class, class[at])
	}
	e.n = int(float64(len(used)) * (1 - heldShare)) // domains take turns and classes are shuffled, so any part will do
	return e.run(ctx)
}

// experiment is one draw of domains.
type experiment struct {
	x             *factor.Matrix
	class, domain []int
	n             int // trained on; the others are held out
	k             int
	share         *factor.Matrix
	seed          uint64
}

func (e *experiment) part(lo, hi int) *factor.Matrix {
	return &factor.Matrix{Rows: hi - lo, Cols: e.x.Cols, Data: e.x.Data[lo*e.x.Cols : hi*e.x.Cols]}
}

func (e *experiment) run(ctx context.Context) ([]measured, error) {
	r, all := e.share.Cols, e.x.Rows
	head, err := discover.FitHead(ctx, e.part(0, e.n), e.domain[:e.n], r, e.part(e.n, all), e.domain[e.n:])
	if err != nil {
		return nil, err
	}
	s := discover.Samples{Posterior: head.Probabilities(e.x), Domain: e.domain, Held: make([]bool, all), Sizes: make([]int, r)}
	for i := range all {
		if s.Held[i] = i >= e.n; !s.Held[i] {
			s.Sizes[e.domain[i]]++
		}
	}
	for d := range r {
		s.Names = append(s.Names, fmt.Sprint(d))
	}
	temperature, _, _ := discover.Calibrate(&factor.Matrix{Rows: all - e.n, Cols: r, Data: s.Posterior.Data[e.n*r:]}, e.domain[e.n:])
	discover.Temper(s.Posterior, temperature)
	var out []measured
	for _, m := range []discover.Method{discover.Separable, discover.Random} {
		found, err := discover.Find(ctx, s, discover.Config{Classes: e.k, Method: m, Seed: e.seed, Force: true})
		if err != nil {
			out = append(out, measured{Method: string(m), Distance: 2, Refused: err.Error()})
			continue
		}
		out = append(out, e.score(string(m), found.Label, func(y, d int) float64 { return found.Model.Prior[y][d] }))
	}
	for _, m := range []struct {
		name string
		x    *factor.Matrix
	}{{"k-means of features", e.x}, {"k-means of p(d|x)", s.Posterior}} {
		c, err := factor.KMeans(ctx, m.x, factor.KMeansConfig{K: e.k, Seed: e.seed}, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, e.score(m.name, c.Of, nil))
	}
	of, err := neighbours(ctx, e.x, e.k, e.seed)
	if err != nil {
		return nil, err
	}
	out = append(out, e.score("neighbours", of, nil))
	known, err := discover.FitHead(ctx, e.part(0, e.n), e.class[:e.n], e.k, e.part(e.n, all), e.class[e.n:])
	if err != nil {
		return nil, err
	}
	said := known.Probabilities(e.x)
	label := make([]int, all)
	for i := range label {
		for y, v := range said.Row(i) {
			if v > said.Row(i)[label[i]] {
				label[i] = y
			}
		}
	}
	return append(out, e.score("supervised", label, nil)), nil
}

// score measures labels on the held out examples, and shares: those given, or those of the labels.
func (e *experiment) score(name string, label []int, prior func(y, d int) float64) measured {
	accuracy, of := discover.Accuracy(label[e.n:], e.class[e.n:], e.k, e.k)
	if prior == nil {
		counts := factor.NewMatrix(e.k, e.share.Cols)
		sizes := make([]float64, e.share.Cols)
		for i, y := range label {
			counts.Row(y)[e.domain[i]]++
			sizes[e.domain[i]]++
		}
		prior = func(y, d int) float64 { return counts.Row(y)[d] / max(sizes[d], 1) }
	}
	m := measured{Method: name, Accuracy: accuracy}
	for y, z := range of {
		for d := range e.share.Cols {
			m.Distance += math.Abs(prior(y, d)-e.share.Row(z)[d]) / float64(e.share.Cols)
		}
	}
	return m
}
