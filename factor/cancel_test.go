package factor

import (
	"context"
	"errors"
	"testing"
)

// Progress only grows and ends at its total; a cancelled call ends at its next step.
func TestCancel(t *testing.T) {
	a := random(150, 150, 1)
	for name, call := range map[string]func(context.Context, Progress) error{
		"thin":      func(c context.Context, p Progress) error { _, err := ThinSVD(c, a, p); return err },
		"truncated": func(c context.Context, p Progress) error { _, err := TruncatedSVD(c, a, 9, p); return err },
		"randomized": func(c context.Context, p Progress) error {
			_, err := RandomizedSVD(c, a, RandomizedConfig{Rank: 9, Power: 1}, p)
			return err
		},
		"weighted": func(c context.Context, p Progress) error {
			_, err := WeightedSVD(c, a, 9, Weights{Rows: weights(150, 1)}, p)
			return err
		},
		"entrywise": func(c context.Context, p Progress) error {
			_, err := EntrywiseLowRank(c, a, entryWeights(150, 150, 1), EntrywiseConfig{Rank: 3, Sweeps: 2}, p)
			return err
		},
		"omp": func(c context.Context, p Progress) error {
			_, err := OMP(c, random(3*codeBatch, 4, 1), atoms(8, 4, 1), 2, p)
			return err
		},
		"dictionary": func(c context.Context, p Progress) error {
			_, err := LearnDictionary(c, a, LearnConfig{Atoms: 20, Nonzeros: 2, Sweeps: 3}, nil, p)
			return err
		},
		"dense-sparse": func(c context.Context, p Progress) error {
			_, err := DenseSparse(c, a, DenseSparseConfig{Block: 10, Atoms: 20, Nonzeros: []int{2}, Sweeps: 2}, nil, p)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls, last, end := 0, 0, 0
			progress := func(done, total int) {
				calls++
				if done < last || done > total {
					t.Errorf("progress %d after %d, of %d", done, last, total)
				}
				last, end = done, total
			}
			if err := call(context.Background(), progress); err != nil {
				t.Fatal(err)
			}
			if calls < 3 || last != end {
				t.Errorf("%d reports, the last %d of %d", calls, last, end)
			}
			ctx, cancel := context.WithCancel(context.Background())
			after := 0
			err := call(ctx, func(int, int) { cancel(); after++ })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: got %v", err)
			}
			if after > 1 {
				t.Errorf("went on for %d steps after it was cancelled", after-1)
			}
		})
	}
}
