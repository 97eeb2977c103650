package discover

import (
	"context"
	"fmt"
	"slices"

	"sparrow/factor"
)

// Method is how corners are found.
type Method string

const (
	// Separable takes cells as corners that no mixture of the others explains, by successive projection.
	Separable Method = "separable"
	// Random is the paper's: a Frobenius factorization from a random start.
	Random Method = "random"
)

// Config says what to look for.
type Config struct {
	Classes int    // K; 0: as many as the counts show
	Cells   int    // of similar examples that are counted; 0: as many as classes
	Method  Method // "": Separable
	Seed    uint64
	Force   bool // goes on where the counts show fewer classes
}

// Refusal says why there are no classes to be told, with what was measured.
type Refusal struct {
	Classes   int // wanted; 0: as many as there are
	Reason    string
	Rank      *Rank     // nil: not measured
	Condition float64   // of the corners p(d|y); 0: not measured
	Purity    []float64 // of the corners
}

// Error implements error.
func (r *Refusal) Error() string { return "discover: " + r.Reason }

// Found are classes.
type Found struct {
	Model Model
	Rank  *Rank // nil: the method needs none, as of a table that was given its number of classes by force
	Cells int

	Q         *factor.Matrix // [n, kept]: p(d|x) if all kept domains were equally likely
	Posterior *factor.Matrix // [n, K]: p(y|x)
	Known     *factor.Matrix // [n, K]: p(y|x,d)
	Label     []int          // of each example, its likeliest class with its domain known

	Error     *factor.Matrix // [K, r]: standard error of Prior over resampled examples
	Condition float64        // of the corners p(d|y): how much noise in q grows in p(y|x)
	Purity    []float64      // of each class: mean p(y|x) of the examples whose likeliest it is; low where no example is at its corner
	Spread    float64        // mean |p(y|d) - p(y)| over classes and domains
	Control   float64        // Spread with permuted domains, the largest of 20: what chance alone gives
	Notes     []string       // what the reader should know
}

// troubled is a condition of corners above which the classes are barely told apart.
const troubled = 20

// Find looks for classes. What the data cannot tell is a *Refusal: fewer than two domains, equal shares in every domain, more classes
// than the counts have directions.
func Find(ctx context.Context, s Samples, cfg Config) (*Found, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	t, err := lay(s, cfg.Classes)
	if err != nil {
		return nil, err
	}
	r := len(t.kept)
	f := &Found{}
	if t.all {
		f.Notes = append(f.Notes, fmt.Sprintf("examples of training are counted too, as held out ones are fewer than %d in some domains: corners may be too far out", leastExamples))
	}
	if n := len(s.Names) - r; n > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d of %d domains have fewer than %d examples that count: their shares are estimated from what the others show, and have no say in it", n, len(s.Names), leastExamples))
	}
	fine, _, err := t.cells(ctx, rankCells(r, len(t.counted)), cfg.Seed)
	if err != nil {
		return nil, err
	}
	m := slices.Max(fine) + 1
	f.Rank, err = rankOf(ctx, tally(fine, t.domain, m, r), permutedCounts(fine, t.domain, m, r, cfg.Seed))
	if err != nil {
		return nil, err
	}
	k, err := f.Rank.decide(cfg, f)
	if err != nil {
		return nil, err
	}
	of, clusters, err := t.cells(ctx, max(cfg.Cells, k), cfg.Seed)
	if err != nil {
		return nil, err
	}
	f.Cells = clusters.Centers.Rows
	counts := tally(of, t.domain, f.Cells, r)
	c, err := cornersOf(ctx, counts, k, cfg)
	if err != nil {
		return nil, &Refusal{Classes: k, Rank: f.Rank, Reason: fmt.Sprintf("no %d corners among %d cells: %v", k, f.Cells, err)}
	}
	f.Condition = c.condition
	if !(c.condition < hopeless) && !cfg.Force {
		return nil, &Refusal{Classes: k, Rank: f.Rank, Condition: c.condition, Reason: fmt.Sprintf("the corners of %d classes lie in a plane (condition %.3g): two classes have the same shares in every domain; look for fewer", k, c.condition)}
	}
	if c.condition > troubled {
		f.Notes = append(f.Notes, fmt.Sprintf("the corners are hard to tell apart (condition %.0f, want below %d): domains with more different shares would help", c.condition, troubled))
	}
	f.Q = t.q
	f.Model = Model{Domains: s.Names, Kept: t.kept, Sizes: s.Sizes, Temperature: 1}
	c.fill(&f.Model, s.Names)
	if f.Posterior, err = f.Model.Posterior(ctx, s.Posterior); err != nil {
		return nil, err
	}
	f.fold(s, t)
	if err := f.uncertainty(ctx, s, t, of, c, cfg); err != nil {
		return nil, err
	}
	f.label(s)
	return f, nil
}

func (c Config) check() error {
	if c.Classes < 0 || c.Classes == 1 || c.Cells < 0 || c.Method != "" && c.Method != Separable && c.Method != Random {
		return fmt.Errorf("discover: %w: %d classes, %d cells, method %q; want 2 classes or more (0: as many as show), no negative number of cells, separable or random", ErrInput, c.Classes, c.Cells, c.Method)
	}
	return nil
}

// rankCells is how many cells show the rank of up to r classes: more than those, but with enough examples in each.
func rankCells(r, n int) int {
	return max(2, min(max(2*r, 10), n/(2*r), 200))
}

// decide is the number of classes to look for.
func (k *Rank) decide(cfg Config, f *Found) (int, error) {
	refuse := func(format string, args ...any) (int, error) {
		return 0, &Refusal{Classes: cfg.Classes, Rank: k, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case k.Classes == 1 && !cfg.Force:
		return refuse("domains do not differ beyond chance: every one has the same shares of classes, or the network tells none apart; want domains with different shares, or train it longer")
	case cfg.Classes == 0 && k.Full:
		return refuse("the number of classes cannot be told: all %d directions that the domains leave room for are in use; say how many by --classes, or bring more domains", len(k.Spectrum)-1)
	case cfg.Classes == 0 && !k.Sure:
		return refuse("the number of classes cannot be told: %d singular values are above chance, but not clearly; say how many by --classes, or bring more examples", k.Classes-1)
	case cfg.Classes == 0:
		return k.Classes, nil
	case k.Classes < cfg.Classes && !cfg.Force:
		return refuse("the counts show %d classes, fewer than %d: look for that many, bring more examples or domains, or go on all the same by --force", k.Classes, cfg.Classes)
	case k.Classes < cfg.Classes:
		f.Notes = append(f.Notes, fmt.Sprintf("the counts show %d classes, fewer than %d: what follows is forced", k.Classes, cfg.Classes))
	}
	return cfg.Classes, nil
}

// label chooses the likeliest class of each example, and measures purity.
func (f *Found) label(s Samples) {
	k := len(f.Model.Classes)
	f.Known = f.Posterior.Clone()
	f.Label = make([]int, f.Known.Rows)
	f.Purity = make([]float64, k)
	count := make([]int, k)
	for i := range f.Label {
		f.Model.Known(f.Known.Row(i), s.Domain[i])
		f.Label[i] = argmax(f.Known.Row(i))
		y := argmax(f.Posterior.Row(i))
		count[y]++
		f.Purity[y] += (f.Posterior.Row(i)[y] - f.Purity[y]) / float64(count[y])
	}
}

// argmax is the place of the largest value, the first of several.
func argmax(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
