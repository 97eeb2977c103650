package retrieval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Scorer gives items a score for a query, the better the higher.
type Scorer interface {
	// Score returns a score for each item, and heeds ctx.
	Score(ctx context.Context, query string, items []string) ([]float64, error)

	// Name tells people which scorer it is.
	Name() string

	// Hash is that of what scores depend on: an index refuses a scorer with another.
	Hash() string
}

// Func is a scorer that is a function. One that does not return when its context ends is left to itself.
type Func struct {
	Do    func(ctx context.Context, query string, items []string) ([]float64, error)
	Title string // its name
	Key   string // its hash
}

// Name implements Scorer.
func (f Func) Name() string { return f.Title }

// Hash implements Scorer.
func (f Func) Hash() string { return f.Key }

// Score implements Scorer.
func (f Func) Score(ctx context.Context, query string, items []string) ([]float64, error) {
	type answer struct {
		scores []float64
		err    error
	}
	done := make(chan answer, 1)
	go func() {
		scores, err := f.Do(ctx, query, items)
		done <- answer{scores, err}
	}()
	select {
	case a := <-done:
		return a.scores, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Asker asks a scorer for pairs: in batches of about the same length, each pair once, again where the scorer fails. It belongs to one
// goroutine.
type Asker struct {
	Scorer   Scorer
	Batch    int           // pairs that are asked for at once
	Timeout  time.Duration // of a batch; 0: none
	Attempts int           // for a batch, before it is an error
	Pause    time.Duration // before the second attempt, and twice as long before each further one

	// After, if not nil, is told how many pairs have been scored or were known.
	After func(pairs int)

	Asked int // pairs that the scorer has scored

	pairs *Pairs
}

// NewAsker asks a scorer as most callers want it. It looks pairs up and keeps them in pairs; nil: nowhere.
func NewAsker(s Scorer, pairs *Pairs) *Asker {
	return &Asker{Scorer: s, Batch: 32, Attempts: 3, Timeout: time.Minute, Pause: time.Second, pairs: pairs}
}

// Ask returns the scores of items for a query. What was scored before an error is kept in the pairs, and the error names the scorer and
// the pair.
func (a *Asker) Ask(ctx context.Context, query string, items []string) ([]float64, error) {
	out := make([]float64, len(items))
	var open []int
	for i, item := range items {
		if score, known := a.pairs.get(query, item); known {
			out[i] = score
		} else {
			open = append(open, i)
		}
	}
	if a.After != nil && len(open) < len(items) {
		a.After(len(items) - len(open))
	}
	slices.SortStableFunc(open, func(i, j int) int { return len(items[i]) - len(items[j]) })
	for first := 0; first < len(open); first += a.Batch {
		some := open[first:min(first+a.Batch, len(open))]
		texts := make([]string, len(some))
		for i, at := range some {
			texts[i] = items[at]
		}
		scores, err := a.batch(ctx, query, texts)
		if err != nil {
			return nil, err
		}
		a.Asked += len(some)
		for i, at := range some {
			out[at] = scores[i]
		}
		if err := a.pairs.put(query, texts, scores); err != nil {
			return nil, err
		}
		if a.After != nil {
			a.After(len(some))
		}
	}
	return out, nil
}

// batch asks for one batch until it is answered.
func (a *Asker) batch(ctx context.Context, query string, items []string) (scores []float64, err error) {
	pause := a.Pause
	for attempt := range max(a.Attempts, 1) {
		if attempt > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pause):
			}
			pause *= 2
		}
		if scores, err = a.once(ctx, query, items); err == nil {
			return scores, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, ErrFinal) {
			break
		}
	}
	var pair *pairError
	if !errors.As(err, &pair) {
		pair = &pairError{items[0], err}
	}
	return nil, fmt.Errorf("retrieval: scorer %s, query %q, item %q: %w; what was scored before is kept: the same command goes on from there",
		a.Scorer.Name(), clip(query), clip(pair.item), pair.err)
}

// ErrFinal is in an error of a scorer that would be the same at a second attempt.
var ErrFinal = errors.New("not worth a second attempt")

// pairError is about one item of a batch.
type pairError struct {
	item string
	err  error
}

func (e *pairError) Error() string { return e.err.Error() }

func (a *Asker) once(ctx context.Context, query string, items []string) ([]float64, error) {
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.Timeout, fmt.Errorf("no answer within %v", a.Timeout))
		defer cancel()
	}
	scores, err := a.Scorer.Score(ctx, query, items)
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(scores) != len(items) {
		return nil, fmt.Errorf("%d scores for %d items", len(scores), len(items))
	}
	for i, x := range scores {
		if x-x != 0 {
			return nil, &pairError{items[i], fmt.Errorf("the score is %v; want a finite number", x)}
		}
	}
	return scores, nil
}

// clip shortens a text for a message.
func clip(text string) string {
	const most = 60
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	return string(r[:most]) + "…"
}
