package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/tests/claims/provenance"
)

// job is one training run of a claim.
type job struct {
	arm    int
	cfg    recipe.Config
	tuning bool
}

// tuningSeed is the seed of the runs that choose learning rates.
const tuningSeed = 1

// tuningJobs are, for every arm, one run of half the steps at each learning rate.
func (c *Claim) tuningJobs() ([]job, error) {
	var jobs []job
	for i := range c.Arms {
		for _, rate := range c.LearningRates {
			j, err := c.tuningJob(i, rate)
			if err != nil {
				return nil, err
			}
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// tuningJob is an arm's run of half the steps at a learning rate.
func (c *Claim) tuningJob(arm int, rate float64) (job, error) {
	cfg, err := c.Config(arm)
	t := &cfg.Train
	cfg.Seed, t.LearningRate = tuningSeed, rate
	splitBy(&cfg, tuningSplit)
	t.Steps, t.WarmupSteps, t.DecaySteps = max(1, t.Steps/2), t.WarmupSteps/2, t.DecaySteps/2
	return job{arm, cfg, true}, err
}

// finalJobs are, for every arm, one run a seed at the arm's learning rate.
func (c *Claim) finalJobs(rates []float64) ([]job, error) {
	var jobs []job
	for i := range c.Arms {
		for seed := range c.Seeds {
			cfg, err := c.Config(i)
			if err != nil {
				return nil, err
			}
			cfg.Seed = uint64(seed + 1)
			splitBy(&cfg, cfg.Seed)
			if len(rates) > 0 {
				cfg.Train.LearningRate = rates[i]
			}
			jobs = append(jobs, job{i, cfg, false})
		}
	}
	return jobs, nil
}

// execute makes all runs of a claim that are not in the cache, or whose results are of older code and no longer what they were.
func execute(ctx context.Context, c *Claim, o options, stderr io.Writer) (*outcome, error) {
	v, err := newVetting("sparrow/train")
	if err != nil {
		return nil, err
	}
	out, err := executeVetted(ctx, c, o, v, stderr)
	if errors.Is(err, errOlder) {
		out, err = executeVetted(ctx, c, o, v, stderr)
	}
	return out, err
}

func executeVetted(ctx context.Context, c *Claim, o options, v *vetting, stderr io.Writer) (*outcome, error) {
	store, err := openCache(o.cache)
	if err != nil {
		return nil, err
	}
	e := &execution{claim: c, cache: store, out: stderr, lanes: 1, commit: provenance.Commit(c.path), took: map[int]*pace{}, vetting: v, piece: o.piece}
	if c.Parallel {
		// Two runs with a thread each get more done than one with two threads, for
		// they wait for nobody: for an SLTrain network of 0.5M parameters a step takes
		// 30% to 45% more processor time with two threads, and the elapsed time of a
		// pair of runs was 20% to 44% shorter side by side in three trials of four.
		e.lanes, e.threads = o.jobs, 1
	}
	tuning, err := c.tuningJobs()
	if err != nil {
		return nil, err
	}
	final, err := c.finalJobs(nil)
	if err != nil {
		return nil, err
	}
	e.expect(tuning)
	e.expect(final)
	if !o.quick {
		if err := e.adopt(ctx, o.docs); err != nil {
			return nil, err
		}
	}
	tried, err := e.run(ctx, tuning)
	if err != nil {
		return nil, err
	}
	out := &outcome{claim: c, commit: e.commit, machine: provenance.This(), vetting: v}
	if len(c.LearningRates) > 0 {
		grids := c.gridsOf(len(c.Arms), tried)
		if !o.quick {
			err := widen(ctx, grids, len(c.LearningRates), func(ctx context.Context, arms []int, rates []float64) ([]Result, error) {
				var more []job
				for k, arm := range arms {
					j, err := c.tuningJob(arm, rates[k])
					if err != nil {
						return nil, err
					}
					more = append(more, j)
				}
				e.expect(more)
				return e.run(ctx, more)
			})
			if err != nil {
				return nil, err
			}
		}
		rates := out.tune(grids)
		if final, err = c.finalJobs(rates); err != nil {
			return nil, err
		}
	}
	runs, err := e.run(ctx, final)
	if err != nil {
		return nil, err
	}
	out.conclude(runs)
	return out, nil
}

// execution is the state of a claim while its runs are made.
type execution struct {
	claim    *Claim
	cache    *cache
	out      io.Writer
	lanes    int // runs side by side
	threads  int // of each; 0: all cores
	commit   string
	vetting  *vetting
	starting sync.Mutex
	piece    time.Duration // after which a run saves its state and goes on in a new process

	mu          sync.Mutex
	total, done int
	left        []int         // steps still to do, by arm
	took        map[int]*pace // by arm
}

// pace is what finished runs of an arm took.
type pace struct {
	steps   int
	seconds float64
}

// expect counts jobs that will come.
func (e *execution) expect(jobs []job) {
	if e.left == nil {
		e.left = make([]int, len(e.claim.Arms))
	}
	for _, j := range jobs {
		e.total++
		e.left[j.arm] += j.cfg.Train.Steps
	}
}

// run makes the jobs, several at a time, and returns their results in order.
func (e *execution) run(ctx context.Context, jobs []job) ([]Result, error) {
	results := make([]Result, len(jobs))
	err := e.vet(ctx, jobs)
	if err == nil {
		err = e.make(ctx, jobs, results)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("interrupted; finished runs are in %s, the same command goes on: %w", e.cache.dir, context.Canceled)
	case err != nil:
		return nil, err
	}
	return results, nil
}

// vet makes one of an arm's jobs again whose results are of older code.
func (e *execution) vet(ctx context.Context, jobs []job) error {
	var all []candidate
	for _, j := range jobs {
		key, err := e.key(ctx, j)
		if err != nil {
			return err
		}
		all = append(all, candidate{
			arm: e.claim.Arms[j.arm].Name, name: j.name(e.claim),
			load: func() (Result, bool) { return e.cache.load(key) },
			make: func(ctx context.Context) (Result, error) { return e.fresh(ctx, j, key) },
		})
	}
	return e.vetting.vet(ctx, e.lanes, all, e.out)
}

// make makes the jobs that no result counts of.
func (e *execution) make(ctx context.Context, jobs []job, results []Result) error {
	return spread(ctx, e.lanes, len(jobs), func(ctx context.Context, _, i int) (err error) {
		results[i], err = e.one(ctx, jobs[i])
		return err
	})
}

// name tells of a run.
func (j job) name(c *Claim) string {
	name := fmt.Sprintf("%s, learning rate %g, seed %d", c.Arms[j.arm].Name, j.cfg.Train.LearningRate, j.cfg.Seed)
	if j.tuning {
		name += ", tuning"
	}
	return name
}

// spread does 0 to n-1 in that many lanes, side by side, until one fails: the error is the cause, not that of those that it
// stopped.
func spread(ctx context.Context, lanes, n int, do func(ctx context.Context, lane, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, n)
	next := make(chan int)
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() {
			for i := range next {
				if errs[i] = ctx.Err(); errs[i] == nil {
					errs[i] = do(ctx, lane, i)
				}
				if errs[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

// one finds a run in the cache or makes it.
func (e *execution) one(ctx context.Context, j job) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	key, err := e.key(ctx, j)
	if err != nil {
		return Result{}, err
	}
	if r, ok := e.cache.load(key); ok && e.vetting.counts(e.claim.Arms[j.arm].Name, r) {
		e.finished(j, r, true)
		return r, nil
	}
	r, err := e.fresh(ctx, j, key)
	if err == nil {
		e.finished(j, r, false)
	}
	return r, err
}

// fresh makes a run and keeps its result.
func (e *execution) fresh(ctx context.Context, j job, key string) (Result, error) {
	if from := e.claim.Arms[j.arm].From; from != "" {
		e.starting.Lock() // two arms of a seed start from one
		at, err := e.starts().made(ctx, from, j.cfg.Seed)
		e.starting.Unlock()
		if err != nil {
			return Result{}, err
		}
		j.cfg.Train.InitFrom = at.dir
	}
	text, err := configs.Encode(j.cfg)
	if err != nil {
		return Result{}, err
	}
	r, err := ask(ctx, request{Config: string(text), Dir: e.cache.dir, Threads: e.threads, Tuning: j.tuning, Run: e.cache.underWay(key), Piece: e.piece})
	if err != nil {
		return r, err
	}
	r.Commit, r.Code = e.commit, e.vetting.code
	return r, e.cache.save(key, r)
}

// key is the cache's, one at a time.
func (e *execution) key(ctx context.Context, j job) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if from := e.claim.Arms[j.arm].From; from != "" {
		at, _, err := e.starts().of(ctx, from, j.cfg.Seed)
		if err != nil {
			return "", err
		}
		j.cfg.Train.InitFrom = at.key // wherever it is
	}
	return e.cache.key(ctx, j.cfg, j.tuning)
}

// starts are what arms start from.
func (e *execution) starts() starts {
	return starts{e.claim, e.cache, e.vetting, e.threads, e.commit}
}

// finished tells of a run and of the time that is left.
func (e *execution) finished(j job, r Result, cached bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done++
	e.left[j.arm] -= j.cfg.Train.Steps
	if r.Diverged == "" {
		if e.took[j.arm] == nil {
			e.took[j.arm] = &pace{}
		}
		e.took[j.arm].steps += r.Steps
		e.took[j.arm].seconds += r.Seconds
	}
	what := fmt.Sprintf("loss %.4f", r.Loss)
	if e.claim.classifies() {
		what = fmt.Sprintf("validation accuracy %.4f, %s", r.ValidationAccuracy, what)
		if !j.tuning {
			what = fmt.Sprintf("test accuracy %.4f, %s", r.Accuracy, what)
		}
		if r.CorruptionAccuracy > 0 {
			what = fmt.Sprintf("accuracy on spoilt images %.4f, %s", r.CorruptionAccuracy, what)
		}
	}
	if r.Diverged != "" {
		what = "diverged, " + r.Diverged
	}
	from := duration(r.Seconds)
	if cached {
		from = "from the cache"
		if r.Commit != e.commit { // the program may have become better since
			from += fmt.Sprintf(", made by commit %.9s", r.Commit)
		}
	}
	fmt.Fprintf(e.out, "%s [%d/%d] %s: %s, %s%s\n", e.claim.Name, e.done, e.total, j.name(e.claim), what, from, e.remaining())
}

// remaining estimates the time left from the pace of finished runs, of the same
// arm where there is one.
func (e *execution) remaining() string {
	var all pace
	for i := range e.claim.Arms { // not over the map: sums in a fixed order
		if p := e.took[i]; p != nil {
			all.steps += p.steps
			all.seconds += p.seconds
		}
	}
	if all.steps == 0 || e.done == e.total {
		return ""
	}
	var seconds float64
	for i, steps := range e.left {
		p := &all
		if e.took[i] != nil {
			p = e.took[i]
		}
		seconds += float64(steps) * p.seconds / float64(p.steps)
	}
	return fmt.Sprintf("; about %s left", duration(seconds/float64(e.lanes)))
}

// duration writes seconds for people.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// best is the index of the highest validation accuracy among runs of classifiers,
// and among equal or other ones of the lowest loss, the first of equal ones; -1 if
// all diverged.
func best(runs []Result) int {
	at := -1
	for i, r := range runs {
		if r.Diverged != "" {
			continue
		}
		if at < 0 || cmp.Or(-cmp.Compare(r.ValidationAccuracy, runs[at].ValidationAccuracy), cmp.Compare(r.Loss, runs[at].Loss)) < 0 {
			at = i
		}
	}
	return at
}

// threadsText says how the runs of a claim were spread.
func threadsText(c *Claim) string {
	if c.Parallel {
		return "one thread a run"
	}
	return fmt.Sprintf("one run at a time on %d cores", runtime.NumCPU())
}
