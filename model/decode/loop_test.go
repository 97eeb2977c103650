package decode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sparrow/model"
)

// collect is all tokens of a sequence.
func collect(l *Loop, ctx context.Context, r Request) (tokens []int, err error) {
	for t, err := range l.Submit(ctx, r) {
		if err != nil {
			return tokens, err
		}
		tokens = append(tokens, t.ID)
	}
	return tokens, nil
}

// TestNested: loop bodies that ask for more while they run, in 64 goroutines over two slots, end, with the tokens that each
// request gets alone.
func TestNested(t *testing.T) {
	v := variants[0]
	l := NewLoop(mustNew(t, session(t, v, 2, 60), Options{}), 0)
	defer l.Close()
	request := func(i int) Request {
		return Request{Prompt: prompt(1+i%5, fmt.Sprint(i)), Tokens: 3, Sampler: model.Sampler{Temperature: 1, Seed: 1}, Choice: i}
	}
	var want [5][]int
	for i := range want {
		want[i] = alone(t, v, request(i), 0).tokens
	}
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			var outer []int
			for x, err := range l.Submit(context.Background(), request(g%5)) {
				if err != nil {
					t.Error(err)
					return
				}
				outer = append(outer, x.ID)
				inner, err := collect(l, context.Background(), request((g+1)%5))
				if err != nil || !slices.Equal(inner, want[(g+1)%5]) {
					t.Errorf("inside: %v, %v; want %v", inner, err, want[(g+1)%5])
				}
			}
			if !slices.Equal(outer, want[g%5]) {
				t.Errorf("outside: %v, want %v", outer, want[g%5])
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("deadlock")
	}
}

// TestLeaving: a caller that leaves early, or whose context ends, frees its slot; closing ends those who are left.
func TestLeaving(t *testing.T) {
	l := NewLoop(mustNew(t, session(t, variants[0], 1, 400), Options{}), 1)
	long := Request{Prompt: []int{1}, Tokens: 399}
	for range l.Submit(context.Background(), long) {
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, err := range l.Submit(ctx, long) {
		cancel()
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a context that ended: %v", err)
			}
			break
		}
	}
	if tokens, err := collect(l, context.Background(), Request{Prompt: []int{2}, Tokens: 4}); err != nil || len(tokens) != 4 {
		t.Errorf("after them: %v, %v", tokens, err)
	}
	for _, r := range []Request{{Prompt: []int{1}, Tokens: 400}, {Prompt: []int{1}, Tokens: 1 << 60}, {Tokens: 1}, {Prompt: []int{1}}} {
		if _, err := collect(l, context.Background(), r); err == nil {
			t.Errorf("%d tokens behind %d: no error", r.Tokens, len(r.Prompt))
		}
	}
	got := false
	for _, err := range l.Submit(context.Background(), long) {
		if err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("closed under way: %v", err)
		}
		if !got {
			got = true
			l.Close()
		}
	}
	if _, err := collect(l, context.Background(), long); !errors.Is(err, ErrClosed) {
		t.Errorf("closed before: %v", err)
	}
}

// BenchmarkOneOfMany is a step of one live sequence of 16 slots over that of one alone: nothing is computed for the others.
//
//	go test ./model/decode -run '^$' -bench OneOfMany -benchtime 300x
func BenchmarkOneOfMany(b *testing.B) {
	var batches [2]*Batch
	for i, slots := range []int{1, 16} {
		batches[i] = mustNew(b, session(b, variants[0], slots, 400), Options{})
	}
	var took [2][]time.Duration
	for b.Loop() {
		for i, batch := range batches {
			slot, err := batch.Admit(Request{Prompt: prompt(100, "a"), Tokens: 20})
			if err != nil {
				b.Fatal(err)
			}
			for n := range 20 {
				began := time.Now()
				if _, err := batch.Step(context.Background()); err != nil {
					b.Fatal(err)
				}
				if n > 0 { // the prompt comes first
					took[i] = append(took[i], time.Since(began))
				}
			}
			batch.Release(slot)
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	middle := func(i int) float64 { return took[i][len(took[i])/2].Seconds() }
	b.ReportMetric(middle(1)/middle(0), "of-one-alone")
	b.ReportMetric(1e6*middle(0), "µs/step")
}

// TestLoopsShareAStore: loops of several goroutines over one set of weights give the tokens of one alone, in float32 and in
// few bits. The race detector sees whether they write into what they share.
func TestLoopsShareAStore(t *testing.T) {
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			s := session(t, v, 2, 60)
			request := func(i int) Request {
				return Request{Prompt: prompt(2+i, fmt.Sprint(i)), Tokens: 4, Sampler: model.Sampler{Temperature: 1, Seed: 1}, Choice: i}
			}
			var want [3][]int
			for i := range want {
				want[i] = alone(t, v, request(i), 0).tokens
			}
			var all sync.WaitGroup
			for g := range 4 {
				all.Go(func() {
					b, err := New(s.Decoding(2, 60), Options{})
					if err != nil {
						t.Error(err)
						return
					}
					l := NewLoop(b, 0)
					defer l.Close()
					for i := range want {
						got, err := collect(l, context.Background(), request((g+i)%3))
						if err != nil || !slices.Equal(got, want[(g+i)%3]) {
							t.Errorf("%v: %v, want %v", err, got, want[(g+i)%3])
						}
					}
				})
			}
			all.Wait()
		})
	}
}
