package discover

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Samples are examples with what a network says of them.
type Samples struct {
	Names     []string       // of the r domains
	Posterior *factor.Matrix // [n, r]: p(d|x), calibrated
	Domain    []int          // of each example

	// Sizes are how many examples of each domain the network was trained on, of which its answers are shifted towards large
	// domains; nil: they were equally many.
	Sizes []int

	// Held tells which examples the network was not trained on; nil: all. Where these suffice only they are counted: a network that
	// knows an example by heart says its domain and not p(d|x).
	Held []bool
}

// leastExamples is how many counted examples a domain needs to have a say in where the corners are: below that its shares of cells
// are noise as large as the differences between domains.
const leastExamples = 20

// check says what is wrong with samples.
func (s Samples) check() error {
	p := s.Posterior
	switch {
	case p == nil || p.Rows < 1 || p.Cols != len(s.Names) || len(s.Domain) != p.Rows || s.Held != nil && len(s.Held) != p.Rows || s.Sizes != nil && len(s.Sizes) != p.Cols:
		return fmt.Errorf("discover: %w: want a row of probabilities, one for each of %d domains, and a domain for each example", ErrInput, len(s.Names))
	case p.Cols < 2:
		return &Refusal{Reason: fmt.Sprintf("there is %d domain, %s: classes show only where their shares differ between domains; want at least two", p.Cols, quoted(s.Names))}
	}
	for i, d := range s.Domain {
		if d < 0 || d >= p.Cols {
			return fmt.Errorf("discover: %w: example %d is of domain %d, want 0 to %d", ErrInput, i, d, p.Cols-1)
		}
		for k, v := range p.Row(i) {
			if !(v >= 0) || math.IsInf(v, 0) {
				return fmt.Errorf("discover: %w: example %d has the probability %v for domain %q", ErrInput, i, v, s.Names[k])
			}
		}
	}
	return nil
}

// sheet is what classes are found by: the domains that are large enough, and where the examples lie between them.
type sheet struct {
	kept    []int          // domains, ascending
	place   []int          // of each domain in kept; -1: too small
	q       *factor.Matrix // [n, kept]: p(d|x) among the kept ones as if all were equally likely
	counted []int          // examples
	domain  []int          // of each counted example, its place in kept
	all     bool           // training examples are counted for want of others
}

// lay chooses examples and domains for k classes; 0: not known yet.
func lay(s Samples, k int) (*sheet, error) {
	t := &sheet{}
	count := func(all bool) []int {
		n := make([]int, len(s.Names))
		for i, d := range s.Domain {
			if all || s.Held == nil || s.Held[i] {
				n[d]++
			}
		}
		return n
	}
	large := func(n []int) (kept []int) {
		for d, n := range n {
			if n >= leastExamples {
				kept = append(kept, d)
			}
		}
		return kept
	}
	t.kept = large(count(false))
	if every := large(count(true)); s.Held != nil && len(every) > len(t.kept) {
		t.kept, t.all = every, true
	}
	if want := max(k, 2); len(t.kept) < want {
		return nil, &Refusal{Classes: k, Reason: fmt.Sprintf("%d of %d domains have %d examples or more, want %d: there can be no more classes than such domains; join small domains, or bring more examples", len(t.kept), len(s.Names), leastExamples, want)}
	}
	t.place = make([]int, len(s.Names))
	for d := range t.place {
		t.place[d] = slices.Index(t.kept, d)
	}
	t.q = t.corrected(s.Posterior, s.Sizes)
	for i, d := range s.Domain {
		if t.place[d] >= 0 && (t.all || s.Held == nil || s.Held[i]) {
			t.counted = append(t.counted, i)
			t.domain = append(t.domain, t.place[d])
		}
	}
	return t, nil
}

// corrected takes the kept domains as equally likely: q_d = p_d / size_d, to sum 1.
func (t *sheet) corrected(p *factor.Matrix, sizes []int) *factor.Matrix {
	return equalised(p, t.kept, sizes)
}

// equalised is corrected for the domains of kept.
func equalised(p *factor.Matrix, kept, sizes []int) *factor.Matrix {
	q := factor.NewMatrix(p.Rows, len(kept))
	for i := range p.Rows {
		row := q.Row(i)
		for k, d := range kept {
			row[k] = p.Row(i)[d]
			if sizes != nil {
				row[k] /= float64(max(sizes[d], 1))
			}
		}
		sum := kernel.Sum(row)
		for k := range row {
			if sum > 0 {
				row[k] /= sum
			} else {
				row[k] = 1 / float64(len(row)) // certain of a domain that is left out: nothing is known among the others
			}
		}
	}
	return q
}

// counts groups the counted examples into m cells of similar q.
func (t *sheet) cells(ctx context.Context, m int, seed uint64) (of []int, c *factor.Clusters, err error) {
	x := factor.NewMatrix(len(t.counted), t.q.Cols)
	for i, e := range t.counted {
		copy(x.Row(i), t.q.Row(e))
	}
	if c, err = factor.KMeans(ctx, x, factor.KMeansConfig{K: min(m, x.Rows), Seed: seed}, nil); err != nil {
		return nil, nil, err
	}
	return c.Of, c, nil
}

// tally counts the examples of each cell and domain, [m, r].
func tally(cell, domain []int, m, r int) *factor.Matrix {
	h := factor.NewMatrix(m, r)
	for i, c := range cell {
		h.Row(c)[domain[i]]++
	}
	return h
}

// shares divides the columns of counts by their sums: p(cell|d).
func shares(counts *factor.Matrix) *factor.Matrix {
	h := counts.Clone()
	for d := range h.Cols {
		sum := 0.0
		for c := range h.Rows {
			sum += h.Row(c)[d]
		}
		for c := range h.Rows {
			if sum > 0 {
				h.Row(c)[d] /= sum
			}
		}
	}
	return h
}

// shuffled is a permutation of the domains of examples.
func shuffled(domain []int, r *rng.Source) []int {
	p := slices.Clone(domain)
	for i := len(p) - 1; i > 0; i-- {
		j := r.Intn(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// quoted lists a few names.
func quoted(names []string) string {
	text := ""
	for i, n := range names[:min(len(names), 3)] {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", n)
	}
	return text
}
