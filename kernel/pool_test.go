package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestParallelRunsEachIndexOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 4, 9} {
		setThreads(t, threads)
		for _, n := range []int{0, 1, 2, 3, 10, 1000} {
			calls := make([]atomic.Int32, n)
			Parallel(n, func(i int) { calls[i].Add(1) })
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Fatalf("%d threads: Parallel(%d) called f(%d) %d times, want once", threads, n, i, got)
				}
			}
		}
	}
}

// TestParallelNested checks that calls from inside a job, and from other goroutines, finish.
func TestParallelNested(t *testing.T) {
	setThreads(t, 3)
	var sum atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				Parallel(5, func(i int) {
					Parallel(4, func(j int) { sum.Add(int64(i * j)) })
				})
			}
		})
	}
	wg.Wait()
	if got, want := sum.Load(), int64(4*50*10*6); got != want {
		t.Errorf("nested sum = %d, want %d", got, want)
	}
}

// TestParallelUsesWorkers waits inside the job until two goroutines have joined it.
func TestParallelUsesWorkers(t *testing.T) {
	setThreads(t, 2)
	for _, idle := range []time.Duration{0, 20 * time.Millisecond} { // a polling and a parked worker
		time.Sleep(idle)
		var inside atomic.Int32
		Parallel(2, func(int) {
			inside.Add(1)
			for start := time.Now(); inside.Load() < 2; runtime.Gosched() {
				if time.Since(start) > 20*time.Second {
					t.Errorf("after %v idle: no worker joined", idle)
					return
				}
			}
		})
	}
}

func TestParallelPanic(t *testing.T) {
	setThreads(t, 2)
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		Parallel(10, func(i int) {
			if i == 7 {
				panic("boom")
			}
		})
	}()
	var calls atomic.Int32
	Parallel(10, func(int) { calls.Add(1) })
	if got := calls.Load(); got != 10 {
		t.Errorf("after a panic Parallel(10) made %d calls, want 10", got)
	}
}

func TestRanges(t *testing.T) {
	for _, tc := range []struct {
		name     string
		n, grain int
		want     [][2]int
	}{
		{"none", 0, 4, nil},
		{"one short", 3, 4, [][2]int{{0, 3}}},
		{"exact", 8, 4, [][2]int{{0, 4}, {4, 8}}},
		{"rest", 9, 4, [][2]int{{0, 4}, {4, 8}, {8, 9}}},
		{"no grain", 2, 0, [][2]int{{0, 1}, {1, 2}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, threads := range []int{1, 3} {
				setThreads(t, threads)
				var mu sync.Mutex
				seen := map[[2]int]int{}
				Ranges(tc.n, tc.grain, func(lo, hi int) {
					mu.Lock()
					defer mu.Unlock()
					seen[[2]int{lo, hi}]++
				})
				for _, r := range tc.want {
					if seen[r] != 1 {
						t.Errorf("%d threads: Ranges(%d, %d) ran %v %d times, want once", threads, tc.n, tc.grain, r, seen[r])
					}
				}
				if len(seen) != len(tc.want) {
					t.Errorf("%d threads: Ranges(%d, %d) ran %d chunks, want %d", threads, tc.n, tc.grain, len(seen), len(tc.want))
				}
			}
		})
	}
}

func TestSetThreads(t *testing.T) {
	setThreads(t, 3)
	if got := Threads(); got != 3 {
		t.Errorf("Threads() = %d after SetThreads(3)", got)
	}
	SetThreads(0)
	if got, want := Threads(), runtime.GOMAXPROCS(0); got != want {
		t.Errorf("Threads() = %d after SetThreads(0), want GOMAXPROCS %d", got, want)
	}
}

// TestWorkersQuit checks that replaced workers end.
func TestWorkersQuit(t *testing.T) {
	setThreads(t, 1)
	before := runtime.NumGoroutine()
	SetThreads(20)
	SetThreads(1)
	for start := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("%d goroutines, want %d: workers outlive SetThreads", runtime.NumGoroutine(), before)
		}
	}
}

func BenchmarkParallel(b *testing.B) {
	SetThreads(2)
	defer SetThreads(0)
	f := func(int) {}
	b.ReportAllocs()
	for b.Loop() {
		Parallel(2, f)
	}
}
