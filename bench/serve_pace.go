package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// servePace is the 95th percentile of the time between tokens of four requests while a prompt of 4,000 tokens is read, over that
// without: ours is the ratio, and there is no peer.
func (b *bench) servePace(name string, s *server) error {
	var quiet, busy []float64
	for round := range max(1, b.rounds/3) {
		a, c, err := s.pace(round)
		if err != nil {
			return err
		}
		quiet, busy = append(quiet, a...), append(busy, c...)
	}
	p95 := func(x []float64) float64 {
		slices.Sort(x)
		return x[int(0.95*float64(len(x)-1))]
	}
	q, w := p95(quiet), p95(busy)
	b.emit(result{Name: name, Threads: b.threads, Ours: w / q, InstructionSet: b.ours.isa, Unit: "x",
		Note: fmt.Sprintf("95%% of the times between tokens are below %.1f ms while a prompt of 4000 is read, below %.1f ms else", 1e3*w, 1e3*q)})
	return nil
}

// pace writes four texts, at first alone and then while a long prompt is read, and gives the times between their tokens.
func (s *server) pace(round int) (quiet, busy []float64, err error) {
	var mu sync.Mutex
	reading := false
	var all sync.WaitGroup
	errs := make([]error, 4)
	ready := make(chan struct{}, 4*1024)
	for i := range errs {
		all.Go(func() {
			last := time.Time{}
			_, errs[i] = s.stream(fields{"prompt": prompt(fmt.Sprint("pace", i), promptTokens), "max_tokens": 600, "temperature": 0, "logit_bias": s.noEnds()}, func(now time.Time) {
				mu.Lock()
				defer mu.Unlock()
				if !last.IsZero() {
					if gap := now.Sub(last).Seconds(); reading {
						busy = append(busy, gap)
					} else {
						quiet = append(quiet, gap)
					}
				}
				last = now
				select {
				case ready <- struct{}{}:
				default:
				}
			})
		})
	}
	for range 4 * 30 { // tokens, while nothing is read
		<-ready
	}
	mu.Lock()
	reading = true
	mu.Unlock()
	_, err = s.first(prompt(fmt.Sprint("long", round, time.Now().UnixNano()), 4000))
	mu.Lock()
	reading = false
	mu.Unlock()
	s.cancelStreams()
	all.Wait()
	if err == nil && (len(quiet) == 0 || len(busy) == 0) {
		err = errors.Join(errs...)
		if err == nil {
			err = fmt.Errorf("bench: %d times between tokens without, %d with a prompt that is read", len(quiet), len(busy))
		}
	}
	return quiet, busy, err
}
