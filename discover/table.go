package discover

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Table are counts of things in domains, such as words or categories: the paper's finite case, in which no network is needed.
type Table struct {
	Rows    []string // things
	Domains []string
	Counts  *factor.Matrix // [m, r]
}

// ParseTable reads tab-separated values: a header with the domains, then a line for each thing with its name and its counts.
// name stands for the file in messages.
func ParseTable(name string, content []byte) (*Table, error) {
	t := &Table{}
	var values []float64
	rest := bytes.TrimPrefix(content, []byte("\ufeff"))
	seen := map[string]bool{}
	for number := 1; len(rest) > 0; number++ {
		var raw []byte
		raw, rest, _ = bytes.Cut(rest, []byte("\n"))
		line := strings.TrimSuffix(string(raw), "\r")
		fields := strings.Split(line, "\t")
		fail := func(format string, args ...any) (*Table, error) {
			return nil, fmt.Errorf("discover: %w: %s:%d: %s", ErrInput, name, number, fmt.Sprintf(format, args...))
		}
		if number == 1 {
			if t.Domains = fields[1:]; len(t.Domains) == 0 {
				return fail("one column; want a name and then a column for each domain, with tabs between them")
			}
			for d, domain := range t.Domains {
				if domain == "" || slices.Contains(t.Domains[:d], domain) {
					return fail("column %d has the domain %q; want a name of its own", d+2, domain)
				}
			}
			continue
		}
		if line == "" && len(bytes.TrimSpace(rest)) == 0 {
			break
		}
		if len(fields) != len(t.Domains)+1 {
			return fail("%d columns, but the header has %d", len(fields), len(t.Domains)+1)
		}
		if seen[fields[0]] {
			return fail("%q has a line already", fields[0])
		}
		seen[fields[0]] = true
		t.Rows = append(t.Rows, fields[0])
		for d, field := range fields[1:] {
			v, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
			if err != nil || !(v >= 0 && v <= 1e15) || v != math.Trunc(v) {
				return fail("column %q is %q, want a whole number of 0 or more", t.Domains[d], field)
			}
			values = append(values, v)
		}
	}
	if len(t.Rows) == 0 {
		return nil, fmt.Errorf("discover: %w: %s: no line after the header, want counts", ErrInput, name)
	}
	t.Counts = &factor.Matrix{Rows: len(t.Rows), Cols: len(t.Domains), Data: values}
	return t, nil
}

// leastCount is how often a thing must be counted at least to be a corner by itself: of fewer the shares by domain are noise.
const leastCount = 50

// mostShuffled bounds the things that are permuted one by one.
const mostShuffled = 50_000_000

// Mixture are the classes of a table.
type Mixture struct {
	Rank      *Rank
	Classes   []string
	Prior     *factor.Matrix // [K, r]: p(y|d)
	Error     *factor.Matrix // [K, r]: its standard error over counts drawn again
	Rows      *factor.Matrix // [m, K]: p(thing|y)
	Condition float64
	Spread    float64 // as of Found
	Control   float64
	Notes     []string
}

// Mix factorizes a table, p(thing|d) = sum_y p(thing|y) p(y|d). What the table cannot tell is a *Refusal.
func Mix(ctx context.Context, t *Table, cfg Config) (*Mixture, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Cells != 0 {
		return nil, fmt.Errorf("discover: %w: %d cells: the things of a table are its cells", ErrInput, cfg.Cells)
	}
	r := len(t.Domains)
	if r < 2 {
		return nil, &Refusal{Classes: cfg.Classes, Reason: fmt.Sprintf("there is %d domain, %s: classes show only where their shares differ between domains; want at least two", r, quoted(t.Domains))}
	}
	for d, name := range t.Domains {
		sum := 0.0
		for i := range t.Counts.Rows {
			sum += t.Counts.Row(i)[d]
		}
		if sum == 0 {
			return nil, &Refusal{Classes: cfg.Classes, Reason: fmt.Sprintf("domain %q has no counts; leave its column out", name)}
		}
	}
	total := kernel.Sum(t.Counts.Data)
	if total > mostShuffled {
		return nil, &Refusal{Classes: cfg.Classes, Reason: fmt.Sprintf("%.3g things are counted, more than the %d that can be permuted; divide the counts", total, mostShuffled)}
	}
	x := &Mixture{}
	var err error
	if x.Rank, err = rankOf(ctx, t.Counts, func(n int) *factor.Matrix { return t.permuted(cfg.Seed, n) }); err != nil {
		return nil, err
	}
	f := &Found{}
	k, err := x.Rank.decide(cfg, f)
	if err != nil {
		return nil, err
	}
	x.Notes = f.Notes
	if k > min(r, len(t.Rows)) {
		return nil, &Refusal{Classes: k, Rank: x.Rank, Reason: fmt.Sprintf("%d classes of %d things in %d domains: there can be no more classes than either", k, len(t.Rows), r)}
	}
	c, err := t.corners(ctx, t.Counts, k, cfg)
	if err != nil {
		return nil, &Refusal{Classes: k, Rank: x.Rank, Reason: fmt.Sprintf("no %d corners among the things that are counted %d times or more: %v", k, leastCount, err)}
	}
	if x.Condition = c.condition; !(x.Condition < hopeless) && !cfg.Force {
		return nil, &Refusal{Classes: k, Rank: x.Rank, Condition: x.Condition, Reason: fmt.Sprintf("the corners of %d classes lie in a plane (condition %.3g); look for fewer", k, x.Condition)}
	}
	for y := range k {
		x.Classes = append(x.Classes, fmt.Sprintf("class %d", y+1))
	}
	x.Prior, x.Rows, x.Spread = c.prior, c.cells, spread(c.prior)
	for n := range permutations {
		if p, err := t.corners(ctx, t.permuted(cfg.Seed, n), k, cfg); err == nil {
			x.Control = max(x.Control, spread(p.prior))
		}
	}
	x.Error, err = t.errors(ctx, c, k, cfg)
	return x, err
}

// corners of counts of the table's things, of which the frequent ones alone may be corners.
func (t *Table) corners(ctx context.Context, counts *factor.Matrix, k int, cfg Config) (*corners, error) {
	var frequent []int
	for i := range counts.Rows {
		if kernel.Sum(counts.Row(i)) >= leastCount {
			frequent = append(frequent, i)
		}
	}
	if len(frequent) < k {
		return nil, fmt.Errorf("there are %d", len(frequent))
	}
	h := shares(counts)
	some := factor.NewMatrix(len(frequent), h.Cols)
	for i, at := range frequent {
		copy(some.Row(i), h.Row(at))
	}
	if cfg.Method == Random {
		return cornersOf(ctx, counts, k, cfg)
	}
	s, err := factor.Separable(ctx, some, k, 0)
	if err != nil {
		return nil, err
	}
	return cornersFrom(ctx, h, s.Vertices)
}

// permuted are the counts with every thing's domain drawn from all things' domains.
func (t *Table) permuted(seed uint64, n int) *factor.Matrix {
	var domain []int
	for d := range t.Counts.Cols {
		for i := range t.Counts.Rows {
			for range int(t.Counts.Row(i)[d]) {
				domain = append(domain, d)
			}
		}
	}
	domain = shuffled(domain, rng.New(seed, "discover/permuted", uint64(n)<<40))
	out := factor.NewMatrix(t.Counts.Rows, t.Counts.Cols)
	at := 0
	for i := range out.Rows {
		for range int(kernel.Sum(t.Counts.Row(i))) {
			out.Row(i)[domain[at]]++
			at++
		}
	}
	return out
}

// errors are the standard deviations of shares over tables drawn again: each count as its own mean, with the deviation of a Poisson.
func (t *Table) errors(ctx context.Context, base *corners, k int, cfg Config) (*factor.Matrix, error) {
	sum, squares, n := factor.NewMatrix(k, t.Counts.Cols), factor.NewMatrix(k, t.Counts.Cols), 0
	for b := range resamples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		counts := factor.NewMatrix(t.Counts.Rows, t.Counts.Cols)
		rng.FillNormal(rng.New(cfg.Seed, "discover/resample", uint64(b)<<40), counts.Data, 0, 1)
		for i, v := range counts.Data {
			mean := t.Counts.Data[i]
			counts.Data[i] = max(0, math.Round(mean+math.Sqrt(mean)*v))
		}
		c, err := t.corners(ctx, counts, k, cfg)
		if err != nil {
			continue
		}
		c.reorder(alike(c, base))
		n++
		for i, v := range c.prior.Data {
			sum.Data[i] += v
			squares.Data[i] += v * v
		}
	}
	for i := range sum.Data {
		mean := sum.Data[i] / float64(max(n, 1))
		sum.Data[i] = math.Sqrt(max(0, squares.Data[i]/float64(max(n, 1))-mean*mean))
	}
	return sum, nil
}

// Typical are the things that speak most for class y, the strongest first: by p(thing|y) log(p(thing|y) / p(thing)), which neither rare
// things nor those of all classes lead.
func (t *Table) Typical(x *Mixture, y, most int) []string {
	order := make([]int, len(t.Rows))
	score := make([]float64, len(t.Rows))
	for i := range order {
		order[i] = i
		mean := kernel.Sum(x.Rows.Row(i)) / float64(len(x.Classes))
		if p := x.Rows.Row(i)[y]; p > 0 {
			score[i] = p * math.Log(p/mean)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
	var names []string
	for _, i := range order[:min(most, len(order))] {
		if score[i] > 0 {
			names = append(names, t.Rows[i])
		}
	}
	return names
}
