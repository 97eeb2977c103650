package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sparrow/internal/shell"
)

// Outcome is what a finished point has measured.
type Outcome struct {
	Values  []Value `json:"values"`           // in the order in which they are shown
	Failed  string  `json:"failed,omitempty"` // why there are none: the run diverged, a method cannot become so small
	Seconds float64 `json:"seconds"`          // that it took
	Folder  string  `json:"folder"`           // of the run, relative to the sweep's
}

// Value is a measurement by name.
type Value struct {
	Name string  `json:"name"`
	X    float64 `json:"x"`
}

// Value is the measurement of that name.
func (o Outcome) Value(name string) (float64, bool) {
	for _, v := range o.Values {
		if v.Name == name {
			return v.X, true
		}
	}
	return 0, false
}

// job is a point that is to be made.
type job struct {
	cell   int    // of the grid
	label  string // for people
	folder string // relative to the sweep's
	key    string // of the store
	do     func(ctx context.Context) (Outcome, error)
}

// run makes those of the points that the store does not have, one after the other, and tells how far it is.
func run(ctx context.Context, store Store, jobs []job, out io.Writer) ([]Outcome, error) {
	outcomes := make([]Outcome, len(jobs))
	left := 0
	for i, j := range jobs {
		if !store.Load(j.key, &outcomes[i]) {
			left++
		}
	}
	if known := len(jobs) - left; known > 0 {
		fmt.Fprintf(out, "%d of %d points are there already\n", known, len(jobs))
	}
	var spent time.Duration
	made := 0
	for i, j := range jobs {
		if store.Load(j.key, &outcomes[i]) {
			continue
		}
		eta := ""
		if made > 0 {
			eta = fmt.Sprintf(", about %s left", (spent / time.Duration(made) * time.Duration(left-made)).Round(time.Second))
		}
		fmt.Fprintf(out, "[%d/%d] %s%s\n", i+1, len(jobs), j.label, eta)
		began := time.Now()
		o, err := j.do(ctx)
		if errors.Is(err, shell.ErrInterrupted) || ctx.Err() != nil {
			return nil, fmt.Errorf("%w; finished points are kept in %s, the same command goes on", shell.ErrInterrupted, store.Dir)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.label, err)
		}
		took := time.Since(began)
		o.Seconds, o.Folder = took.Seconds(), j.folder
		if err := store.Save(j.key, o); err != nil {
			return nil, err
		}
		outcomes[i] = o
		spent, made = spent+took, made+1
	}
	return outcomes, nil
}
