package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"sync"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/recipe"
	"sparrow/tests/claims/provenance"
)

// parent is a trained network that the arms compress.
type parent struct {
	cfg    recipe.Config
	key    string // in the cache
	dir    string // its checkpoint
	result Result
}

// compressJob is one point: an arm at a ratio, for the parent of a seed.
type compressJob struct {
	arm, seed   int // the seed from 0
	ratio, rate float64
	tuning      bool
}

// compressions is the state of a claim while its networks are compressed.
type compressions struct {
	claim   *Claim
	cache   *cache
	out     io.Writer
	lanes   int
	threads int
	commit  string
	parents []parent // by seed

	mu          sync.Mutex
	total, done int
}

// executeCompression trains the parents and makes all points that are not in the cache.
func executeCompression(ctx context.Context, c *Claim, o options, stderr io.Writer) (*outcome, error) {
	store, err := openCache(o.cache)
	if err != nil {
		return nil, err
	}
	e := &compressions{claim: c, cache: store, out: stderr, lanes: 1, commit: provenance.Commit(c.path)}
	if c.Parallel {
		e.lanes, e.threads = o.jobs, 1
	}
	tuning, final := c.compressTuning(), c.compressPoints(nil)
	e.total = c.Seeds + len(tuning) + len(final)
	if err := e.train(ctx); err != nil {
		return nil, err
	}
	out := &outcome{claim: c, commit: e.commit, machine: provenance.This()}
	tried, err := e.points(ctx, tuning)
	if err != nil {
		return nil, err
	}
	rates, tables := c.chooseRates(tried)
	final = c.compressPoints(rates)
	results, err := e.points(ctx, final)
	if err != nil {
		return nil, err
	}
	out.concludeCompression(e.parents, rates, tables, results)
	return out, nil
}

// train makes the parents, or finds them.
func (e *compressions) train(ctx context.Context) error {
	e.parents = make([]parent, e.claim.Seeds)
	for i := range e.parents {
		p := &e.parents[i]
		p.cfg = e.claim.Run
		p.cfg.Seed = uint64(i + 1)
		key, err := e.cache.key(ctx, p.cfg, true)
		if err != nil {
			return err
		}
		p.key = hashOf("claim parent 1", key)
		p.dir = filepath.Join(e.cache.dir, "parents", p.key)
	}
	return e.interruptible(spread(ctx, e.lanes, len(e.parents), func(ctx context.Context, _, i int) error {
		p := &e.parents[i]
		r, cached := e.cache.load(p.key)
		if cached {
			_, err := checkpoints.Open(p.dir)
			cached = err == nil
		}
		if !cached {
			text, err := configs.Encode(p.cfg)
			if err != nil {
				return err
			}
			if r, err = ask(ctx, request{Config: string(text), Dir: e.cache.dir, Threads: e.threads, Tuning: true, Keep: p.dir}); err != nil {
				return err
			}
			if r.Diverged != "" {
				return fmt.Errorf("the parent of seed %d diverged: %s", i+1, r.Diverged)
			}
			r.Commit = e.commit
			if err := e.cache.save(p.key, r); err != nil {
				return err
			}
		}
		p.result = r
		e.finished(parentName, i, r, cached)
		return nil
	}))
}

// points makes compressions, several at a time, and returns their results in order.
func (e *compressions) points(ctx context.Context, jobs []compressJob) ([]Result, error) {
	results := make([]Result, len(jobs))
	err := spread(ctx, e.lanes, len(jobs), func(ctx context.Context, lane, i int) error {
		j := jobs[i]
		name := fmt.Sprintf("%s with %s fewer bytes", e.claim.Arms[j.arm].Name, ratioText(j.ratio))
		r, cached, err := e.one(ctx, lane, j)
		if err != nil {
			return fmt.Errorf("%s, seed %d: %w", name, j.seed+1, err)
		}
		if j.rate > 0 {
			name += fmt.Sprintf(", learning rate %g", j.rate)
		}
		if j.tuning {
			name += ", tuning"
		}
		results[i] = r
		e.finished(name, j.seed, r, cached)
		return nil
	})
	return results, e.interruptible(err)
}

// one finds a point in the cache or makes it. Each lane has statistics of calibration data of its own, so that no two processes
// write the same ones.
func (e *compressions) one(ctx context.Context, lane int, j compressJob) (r Result, cached bool, err error) {
	p := e.parents[j.seed]
	cfg, err := e.claim.compression(j.arm, j.ratio, j.rate)
	if err != nil {
		return r, false, err
	}
	cfg.Seed = uint64(j.seed + 1) // order of the calibration data and of fine-tuning
	if t := cfg.Compress.Finetune; t != nil && j.tuning {
		t.Steps, t.WarmupSteps, t.DecaySteps = max(1, t.Steps/2), t.WarmupSteps/2, t.DecaySteps/2
	}
	cfg.Compress.Cache = "cache"
	text, err := configs.Encode(cfg) // as yet without the folders, wherever they are
	if err != nil {
		return r, false, err
	}
	key := hashOf("claim compression 1", p.key, fmt.Sprint(j.tuning), string(text))
	if r, ok := e.cache.load(key); ok {
		return r, true, nil
	}
	cfg.Compress.From, cfg.Compress.Cache = p.dir, filepath.Join(e.cache.dir, "statistics", strconv.Itoa(lane))
	if text, err = configs.Encode(cfg); err != nil {
		return r, false, err
	}
	run, err := configs.Encode(p.cfg)
	if err != nil {
		return r, false, err
	}
	r, err = ask(ctx, request{Config: string(run), Compress: string(text), Dir: e.cache.dir, Threads: e.threads, Tuning: j.tuning})
	if err != nil {
		return r, false, err
	}
	r.Commit = e.commit
	return r, false, e.cache.save(key, r)
}

// interruptible says what to do after an interruption.
func (e *compressions) interruptible(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted; finished compressions are in %s, the same command goes on: %w", e.cache.dir, context.Canceled)
	}
	return err
}

// finished tells of a parent or point.
func (e *compressions) finished(name string, seed int, r Result, cached bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done++
	what := fmt.Sprintf("loss %.4f", r.Loss)
	if r.Accuracy > 0 {
		what += fmt.Sprintf(", accuracy %.4f", r.Accuracy)
	} else if r.ValidationAccuracy > 0 {
		what += fmt.Sprintf(", validation accuracy %.4f", r.ValidationAccuracy)
	}
	if r.Diverged != "" {
		what = "diverged, " + r.Diverged
	}
	from := duration(r.Seconds)
	if cached {
		from = "from the cache"
		if r.Commit != e.commit {
			from += fmt.Sprintf(", made by commit %.9s", r.Commit)
		}
	}
	fmt.Fprintf(e.out, "%s [%d/%d] %s, seed %d: %s, %s\n", e.claim.Name, e.done, e.total, name, seed+1, what, from)
}

// compressTuning are, for each fine-tuned arm, one point at each learning rate.
func (c *Claim) compressTuning() []compressJob {
	var jobs []compressJob
	for i := range c.Arms {
		if ratios := c.ratios(i); c.tuned(i) {
			for _, rate := range c.LearningRates {
				jobs = append(jobs, compressJob{i, tuningSeed - 1, ratios[len(ratios)/2], rate, true})
			}
		}
	}
	return jobs
}

// compressPoints are, for each arm and ratio, one point a seed. rates are by arm, 0: the config's.
func (c *Claim) compressPoints(rates []float64) []compressJob {
	var jobs []compressJob
	for i := range c.Arms {
		rate := 0.0
		if rates != nil {
			rate = rates[i]
		}
		for _, ratio := range c.ratios(i) {
			for seed := range c.Seeds {
				jobs = append(jobs, compressJob{i, seed, ratio, rate, false})
			}
		}
	}
	return jobs
}

// chooseRates takes the tuning points and returns each arm's learning rate, 0 of those that are not tuned, and what was tried.
func (c *Claim) chooseRates(results []Result) ([]float64, [][]tried) {
	rates, tables := make([]float64, len(c.Arms)), make([][]tried, len(c.Arms))
	n := len(c.LearningRates)
	for i := range c.Arms {
		if n == 0 || !c.tuned(i) {
			continue
		}
		mine := results[:n]
		results = results[n:]
		rates[i], tables[i] = c.chooseRate(mine)
	}
	return rates, tables
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
