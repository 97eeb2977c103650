package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spinBursts bounds how long an idle worker polls before it parks: about 100 us, longer than the
// gap between two operators of a graph, shorter than a pause a person or a profiler would notice.
const spinBursts = 400

// pool is the package's one set of workers. The goroutine that calls Parallel is a worker too, so
// threads-1 goroutines belong to the pool.
type pool struct {
	busy    sync.Mutex // held while a job runs; a second caller runs its own job serially
	threads atomic.Int64
	workers []*worker

	// The job. f and n are written only while no worker is inside (open false, active 0).
	f      func(int)
	n      int64
	next   atomic.Int64  // next index to claim
	epoch  atomic.Uint64 // number of jobs published, what workers poll
	open   atomic.Bool   // the job accepts workers
	active atomic.Int64  // workers inside the job
	failed atomic.Pointer[any]
}

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
	quit   atomic.Bool
}

var thePool pool

func init() { thePool.setThreads(runtime.GOMAXPROCS(0)) }

// SetThreads fixes the number of threads that Parallel and the threaded kernels use, the caller
// included. n <= 0 means all cores (GOMAXPROCS). It must not be called from inside Parallel.
func SetThreads(n int) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	thePool.busy.Lock()
	defer thePool.busy.Unlock()
	thePool.setThreads(n)
}

// Threads returns the number of threads in use.
func Threads() int { return int(thePool.threads.Load()) }

// Parallel runs f(0), ..., f(n-1) over the pool and returns when all are done. The order and the
// thread of each call are not fixed, so calls must write to disjoint places. When the pool is
// already busy, which includes calls from inside f, it runs all of them on the calling goroutine.
// A panic in f is raised again on the calling goroutine.
func Parallel(n int, f func(i int)) {
	p := &thePool
	if n <= 1 || p.threads.Load() == 1 || !p.busy.TryLock() {
		for i := range n {
			f(i)
		}
		return
	}
	p.run(n, f)
}

// Ranges splits [0, n) into chunks of grain (the last may be shorter) and runs f(lo, hi) on each
// over the pool. The chunks depend on n and grain only, so a reduction that keeps one partial
// result a chunk is the same for any number of threads. A grain below 1 counts as 1.
func Ranges(n, grain int, f func(lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	chunks := (n + grain - 1) / grain
	if chunks == 1 {
		f(0, n)
		return
	}
	Parallel(chunks, func(i int) {
		lo := i * grain
		f(lo, min(lo+grain, n))
	})
}

// setThreads replaces the workers; the caller holds busy (or is init).
func (p *pool) setThreads(n int) {
	for _, w := range p.workers {
		w.quit.Store(true)
		w.unpark()
	}
	p.workers = p.workers[:0]
	for range n - 1 {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		go p.serve(w, p.epoch.Load())
	}
	p.threads.Store(int64(n))
}

// run publishes one job, works on it, and waits for the workers inside it. The caller holds busy.
func (p *pool) run(n int, f func(int)) {
	p.f, p.n = f, int64(n)
	p.next.Store(0)
	p.open.Store(true)
	p.epoch.Add(1)
	for _, w := range p.workers {
		w.unpark()
	}
	p.claim()
	p.open.Store(false)
	// A worker that saw open has raised active before this point; one that comes later leaves at
	// once without touching the job.
	for spin := 0; p.active.Load() != 0; spin++ {
		switch {
		case spin < spinBursts/4:
			pauseBurst()
		case spin < 8*spinBursts:
			pauseBurst()
			runtime.Gosched()
		default:
			time.Sleep(20 * time.Microsecond) // the worker has no core: give it this one
		}
	}
	p.f = nil
	failed := p.failed.Swap(nil)
	p.busy.Unlock()
	if failed != nil {
		panic(*failed)
	}
}

// claim runs indices until none is left. A panic is kept for the caller and ends the job early.
func (p *pool) claim() {
	defer p.keepPanic()
	f, n := p.f, p.n
	for {
		i := p.next.Add(1) - 1
		if i >= n {
			return
		}
		f(int(i))
	}
}

func (p *pool) keepPanic() {
	if r := recover(); r != nil {
		kept := r // on the heap; r must not be, or every job would allocate
		p.failed.CompareAndSwap(nil, &kept)
		p.next.Store(p.n)
	}
}

// serve is a worker's life: poll for a job, then park, until told to quit.
func (p *pool) serve(w *worker, seen uint64) {
	for {
		for spin := 0; p.epoch.Load() == seen && spin < spinBursts; spin++ {
			pauseBurst()
			if spin&15 == 15 {
				runtime.Gosched() // leave the core to anyone who has real work
			}
		}
		if w.quit.Load() {
			return
		}
		if e := p.epoch.Load(); e != seen {
			seen = e
			p.active.Add(1)
			if p.open.Load() {
				p.claim()
			}
			p.active.Add(-1)
			continue
		}
		w.parked.Store(true)
		if (p.epoch.Load() != seen || w.quit.Load()) && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
	}
}

// unpark wakes the worker if it is parked, or about to.
func (w *worker) unpark() {
	if w.parked.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}
