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
	"time"

	"sparrow/checkpoints"
	"sparrow/compress"
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
	vetting *vetting
	piece   time.Duration
	parents []parent // by seed

	starting    sync.Mutex
	mu          sync.Mutex
	total, done int
}

// executeCompression trains the parents and makes all points that are not in the cache.
func executeCompression(ctx context.Context, c *Claim, o options, stderr io.Writer) (*outcome, error) {
	v, err := newVetting("sparrow/train", "sparrow/compress", "sparrow/interchange")
	if err != nil {
		return nil, err
	}
	out, err := compressVetted(ctx, c, o, v, stderr)
	if errors.Is(err, errOlder) {
		out, err = compressVetted(ctx, c, o, v, stderr)
	}
	return out, err
}

func compressVetted(ctx context.Context, c *Claim, o options, v *vetting, stderr io.Writer) (*outcome, error) {
	store, err := openCache(o.cache)
	if err != nil {
		return nil, err
	}
	e := &compressions{claim: c, cache: store, out: stderr, lanes: 1, commit: provenance.Commit(c.path), vetting: v, piece: o.piece}
	if c.Parallel {
		e.lanes, e.threads = o.jobs, 1
	}
	tuning, final := c.compressTuning(), c.compressPoints(nil)
	e.total = c.Seeds + len(tuning) + len(final)
	if err := e.name(ctx); err != nil {
		return nil, err
	}
	if !o.quick {
		if err := e.adopt(o.docs); err != nil {
			return nil, err
		}
	}
	if err := e.train(ctx); err != nil {
		return nil, err
	}
	out := &outcome{claim: c, commit: e.commit, machine: provenance.This(), vetting: v}
	tried, err := e.points(ctx, tuning)
	if err != nil {
		return nil, err
	}
	tunedArms := c.tunedArms()
	grids := c.gridsOf(len(tunedArms), tried)
	if !o.quick {
		err := widen(ctx, grids, len(c.LearningRates), func(ctx context.Context, arms []int, rates []float64) ([]Result, error) {
			var more []compressJob
			for k, i := range arms {
				more = append(more, c.compressTuningJob(tunedArms[i], rates[k]))
			}
			e.total += len(more)
			return e.points(ctx, more)
		})
		if err != nil {
			return nil, err
		}
	}
	rates, tables := c.chooseRates(grids)
	final = c.compressPoints(rates)
	results, err := e.points(ctx, final)
	if err != nil {
		return nil, err
	}
	out.concludeCompression(e.parents, rates, tables, results)
	return out, nil
}

// name names the parents.
func (e *compressions) name(ctx context.Context) error {
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
		if from := e.claim.Compress.From; from != "" {
			at, _, err := e.starts().of(ctx, from, p.cfg.Seed)
			if err != nil {
				return err
			}
			if p.key = hashOf("claim parent 1", key, at.key); from == fromImported {
				p.key = at.key // one for all seeds
			}
		}
		p.dir = filepath.Join(e.cache.dir, "parents", p.key)
	}
	return nil
}

// starts are what the parents start from.
func (e *compressions) starts() starts {
	return starts{e.claim, e.cache, e.vetting, e.threads, e.commit}
}

// train makes the parents, or finds them.
func (e *compressions) train(ctx context.Context) error {
	var all []candidate
	for i := range e.parents {
		p := &e.parents[i]
		all = append(all, candidate{
			arm: parentName, name: fmt.Sprintf("%s, seed %d", parentName, i+1),
			load: func() (Result, bool) { return e.cache.load(p.key) },
			make: func(ctx context.Context) (Result, error) { return e.fresh(ctx, i) },
		})
	}
	if err := e.vetting.vet(ctx, e.lanes, all, e.out); err != nil {
		return e.interruptible(err)
	}
	return e.interruptible(spread(ctx, e.lanes, len(e.parents), func(ctx context.Context, _, i int) error {
		p := &e.parents[i]
		r, cached := e.cache.load(p.key)
		if cached && e.vetting.counts(parentName, r) {
			_, err := checkpoints.Open(p.dir)
			cached = err == nil
		} else {
			cached = false
		}
		if !cached {
			var err error
			if r, err = e.fresh(ctx, i); err != nil {
				return err
			}
		}
		p.result = r
		e.finished(parentName, i, r, cached)
		return nil
	}))
}

// fresh trains a parent and keeps its result and its checkpoint.
func (e *compressions) fresh(ctx context.Context, i int) (Result, error) {
	p := e.parents[i]
	if from := e.claim.Compress.From; from != "" {
		e.starting.Lock() // one for all seeds is made once
		at, err := e.starts().made(ctx, from, p.cfg.Seed)
		e.starting.Unlock()
		if err != nil {
			return Result{}, err
		}
		if from == fromImported {
			r, _ := e.cache.load(at.key)
			return r, nil
		}
		p.cfg.Train.InitFrom = at.dir
	}
	text, err := configs.Encode(p.cfg)
	if err != nil {
		return Result{}, err
	}
	r, err := ask(ctx, request{Config: string(text), Dir: e.cache.dir, Threads: e.threads, Tuning: true, Keep: p.dir, Run: e.cache.underWay(p.key), Piece: e.piece})
	if err != nil {
		return r, err
	}
	if r.Diverged != "" {
		return r, fmt.Errorf("the parent of seed %d diverged: %s", i+1, r.Diverged)
	}
	r.Commit, r.Code = e.commit, e.vetting.code
	return r, e.cache.save(p.key, r)
}

// points makes compressions, several at a time, and returns their results in order.
func (e *compressions) points(ctx context.Context, jobs []compressJob) ([]Result, error) {
	results := make([]Result, len(jobs))
	var all []candidate
	for _, j := range jobs {
		_, key, err := e.keyOf(j)
		if err != nil {
			return nil, err
		}
		all = append(all, candidate{
			arm: e.claim.Arms[j.arm].Name, name: fmt.Sprintf("%s, seed %d", j.name(e.claim), j.seed+1),
			load: func() (Result, bool) { return e.cache.load(key) },
			make: func(ctx context.Context) (Result, error) { return e.compress(ctx, "vetting", j) },
		})
	}
	if err := e.vetting.vet(ctx, 1, all, e.out); err != nil { // one at a time: they share a folder of statistics
		return nil, e.interruptible(err)
	}
	err := spread(ctx, e.lanes, len(jobs), func(ctx context.Context, lane, i int) error {
		j := jobs[i]
		name := j.name(e.claim)
		r, cached, err := e.one(ctx, lane, j)
		if err != nil {
			return fmt.Errorf("%s, seed %d: %w", name, j.seed+1, err)
		}
		results[i] = r
		e.finished(name, j.seed, r, cached)
		return nil
	})
	return results, e.interruptible(err)
}

// name tells of a point.
func (j compressJob) name(c *Claim) string {
	name := fmt.Sprintf("%s with %s fewer bytes", c.Arms[j.arm].Name, ratioText(j.ratio))
	if j.rate > 0 {
		name += fmt.Sprintf(", learning rate %g", j.rate)
	}
	if j.tuning {
		name += ", tuning"
	}
	return name
}

// one finds a point in the cache or makes it.
func (e *compressions) one(ctx context.Context, lane int, j compressJob) (r Result, cached bool, err error) {
	_, key, err := e.keyOf(j)
	if err != nil {
		return r, false, err
	}
	if r, ok := e.cache.load(key); ok && e.vetting.counts(e.claim.Arms[j.arm].Name, r) {
		return r, true, nil
	}
	r, err = e.compress(ctx, strconv.Itoa(lane), j)
	return r, false, err
}

// keyOf is the config of a point, as yet without the folders, wherever they are, and its name in the cache.
func (e *compressions) keyOf(j compressJob) (cfg compress.Config, key string, err error) {
	cfg, err = e.claim.compression(j.arm, j.ratio, j.rate)
	if err != nil {
		return cfg, "", err
	}
	cfg.Seed = uint64(j.seed + 1) // order of the calibration data and of fine-tuning
	if t := cfg.Compress.Finetune; t != nil && j.tuning {
		t.Steps, t.WarmupSteps, t.DecaySteps = max(1, t.Steps/2), t.WarmupSteps/2, t.DecaySteps/2
	}
	cfg.Compress.Cache = "cache"
	text, err := configs.Encode(cfg)
	return cfg, hashOf("claim compression 1", e.parents[j.seed].key, fmt.Sprint(j.tuning), string(text)), err
}

// compress makes a point and keeps its result. Each lane has statistics of calibration data of its own, so that no two processes
// write the same ones.
func (e *compressions) compress(ctx context.Context, lane string, j compressJob) (r Result, err error) {
	p := e.parents[j.seed]
	cfg, key, err := e.keyOf(j)
	if err != nil {
		return r, err
	}
	cfg.Compress.From, cfg.Compress.Cache = p.dir, filepath.Join(e.cache.dir, "statistics", lane)
	if e.claim.Compress.From == fromImported {
		cfg.Compress.Data = &compress.DataConfig{Data: p.cfg.Data}
	}
	text, err := configs.Encode(cfg)
	if err != nil {
		return r, err
	}
	run, err := configs.Encode(p.cfg)
	if err != nil {
		return r, err
	}
	r, err = ask(ctx, request{Config: string(run), Compress: string(text), Dir: e.cache.dir, Threads: e.threads, Tuning: j.tuning})
	if err != nil {
		return r, err
	}
	r.Commit, r.Code = e.commit, e.vetting.code
	return r, e.cache.save(key, r)
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
	for _, i := range c.tunedArms() {
		for _, rate := range c.LearningRates {
			jobs = append(jobs, c.compressTuningJob(i, rate))
		}
	}
	return jobs
}

// tunedArms are the arms for which learning rates are tried.
func (c *Claim) tunedArms() []int {
	var arms []int
	for i := range c.Arms {
		if len(c.LearningRates) > 0 && c.tuned(i) {
			arms = append(arms, i)
		}
	}
	return arms
}

// compressTuningJob is an arm's point at a learning rate: the middle one of its ratios.
func (c *Claim) compressTuningJob(arm int, rate float64) compressJob {
	ratios := c.ratios(arm)
	return compressJob{arm, tuningSeed - 1, ratios[len(ratios)/2], rate, true}
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

// chooseRates takes what was tried for the tuned arms and returns each arm's learning rate, 0 of those that are not tuned, and
// what was tried.
func (c *Claim) chooseRates(grids []grid) ([]float64, [][]tried) {
	rates, tables := make([]float64, len(c.Arms)), make([][]tried, len(c.Arms))
	for k, i := range c.tunedArms() {
		rates[i], tables[i] = c.choose(grids[k])
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
