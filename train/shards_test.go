package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/group"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// among runs f on every rank of a group of goroutines, which stand for processes.
func among(t *testing.T, ranks int, f func(g *group.Group) error) []error {
	t.Helper()
	groups, err := group.Together(ranks)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	failures := make([]error, ranks)
	for i, g := range groups {
		wait.Go(func() {
			if failures[i] = f(g); failures[i] != nil && !errors.Is(failures[i], shell.ErrInterrupted) {
				g.Abort(1)
			}
		})
	}
	wait.Wait()
	return failures
}

// shared trains a run by so many ranks.
func shared(t *testing.T, ranks int, cfg recipe.Config, dir string, interrupted func(rank int) func() bool) error {
	t.Helper()
	failures := among(t, ranks, func(g *group.Group) error {
		trainer, err := NewAmong(context.Background(), g, nil, cfg, dir, false, io.Discard)
		if err != nil {
			return err
		}
		var stop func() bool
		if interrupted != nil {
			stop = interrupted(g.Rank())
		}
		_, err = trainer.Run(context.Background(), stop)
		return err
	})
	return errors.Join(failures...)
}

// sameRun compares what two runs have left: arrays, state and what they measured.
func sameRun(t *testing.T, name, a, b string, step int) {
	t.Helper()
	for _, file := range []string{"model.npz", "optimizer.npz", "state.json"} {
		if !bytes.Equal(checkpointFile(t, a, step, file), checkpointFile(t, b, step, file)) {
			t.Errorf("%s: %s of step %d differs", name, file, step)
		}
	}
	x, errX := metrics.Read(filepath.Join(a, "metrics.csv"))
	y, errY := metrics.Read(filepath.Join(b, "metrics.csv"))
	if err := errors.Join(errX, errY); err != nil || len(x) != len(y) {
		t.Fatalf("%s: %d and %d records, %v", name, len(x), len(y), err)
	}
	for i := range x {
		for k, v := range x[i].Values {
			if !strings.HasSuffix(v.Name, "per_second") && v != y[i].Values[k] {
				t.Errorf("%s: step %d: %+v and %+v", name, x[i].Step, v, y[i].Values[k])
			}
		}
	}
}

// A step of eight shards leaves the same bytes whoever computes them: one process, two, four or eight.
func TestShardsAreTheSameForAnyRanks(t *testing.T) {
	for k, m := range models {
		if m.name == "matrices delivered in rows" || testing.Short() && k%3 != 1 {
			continue
		}
		cfg := smallConfig(t)
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer = 32, 2 })
		cfg.Train.BatchSize, cfg.Train.GradAccum, cfg.Train.Shards = 4, 4, 8
		cfg.Train.Optimizer = []string{"adamw", "adamw8bit"}[k%2]
		m.change(&cfg)
		dir := t.TempDir()
		for _, ranks := range []int{1, 2, 4, 8} {
			cfg.Train.ZeRO = ranks / 4 % 2 // of four ranks; the config that is kept says so
			run := filepath.Join(dir, fmt.Sprint(ranks))
			if err := shared(t, ranks, cfg, run, nil); err != nil {
				t.Fatalf("%s, %d ranks: %v", m.name, ranks, err)
			}
			if ranks > 1 {
				sameRun(t, fmt.Sprintf("%s, %d ranks", m.name, ranks), filepath.Join(dir, "1"), run, cfg.Train.Steps)
			}
		}
	}
}

// With its state dealt to the ranks an optimizer leaves the same bytes, each rank holds about its part, and a run that was kept so continues
// with another number of ranks, and without.
func TestOptimizersAreDealt(t *testing.T) {
	for _, optimizer := range []string{"adamw", "adamw8bit"} {
		cfg := smallConfig(t)
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF = 64, 2, 128 })
		cfg.Train.BatchSize, cfg.Train.Shards, cfg.Train.Optimizer, cfg.Train.EMA = 4, 4, optimizer, 0.9
		dir := t.TempDir()
		whole, cut := filepath.Join(dir, "whole"), filepath.Join(dir, "cut")
		if err := shared(t, 1, cfg, whole, nil); err != nil {
			t.Fatal(err)
		}
		cfg.Train.ZeRO = 1
		held := make([]int, 4)
		failures := among(t, 4, func(g *group.Group) error {
			trainer, err := NewAmong(context.Background(), g, nil, cfg, cut, false, io.Discard)
			if err != nil {
				return err
			}
			held[g.Rank()] = trainer.optimizer.Bytes()
			_, err = trainer.Run(context.Background(), func() bool { return trainer.Step() == 3 })
			return err
		})
		for _, err := range failures {
			if !errors.Is(err, shell.ErrInterrupted) {
				t.Fatal(err)
			}
		}
		alone, err := New(context.Background(), cfg, filepath.Join(dir, "alone"), false, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		all, sum := alone.optimizer.Bytes(), 0
		for rank, n := range held {
			if sum += n; n > all*2/5 {
				t.Errorf("%s: rank %d of 4 holds %d of %d bytes", optimizer, rank, n, all)
			}
		}
		if sum != all {
			t.Errorf("%s: the ranks hold %d bytes, one process %d", optimizer, sum, all)
		}
		failures = among(t, 2, func(g *group.Group) error {
			trainer, _, err := ResumeAmong(context.Background(), g, cut, "", nil, io.Discard)
			if err == nil {
				_, err = trainer.Run(context.Background(), func() bool { return trainer.Step() == 5 })
			}
			return err
		})
		if err := errors.Join(failures...); !errors.Is(err, shell.ErrInterrupted) {
			t.Fatal(err)
		}
		trainer, _, err := Resume(context.Background(), cut, "", nil, io.Discard)
		if err == nil {
			_, err = trainer.Run(context.Background(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		sameRun(t, optimizer, whole, cut, cfg.Train.Steps)
	}
}

// Shards are parts of the same step: their losses are those of a step in one part but for rounding, and not all bits are the same, or the
// tree would say nothing.
func TestShardsAreTheStep(t *testing.T) {
	losses := map[int][]float64{}
	for _, shards := range []int{0, 1, 2, 8} {
		cfg := smallConfig(t)
		cfg.Train.BatchSize, cfg.Train.GradAccum, cfg.Train.Shards = 4, 2, shards
		dir := filepath.Join(t.TempDir(), "run")
		if _, err := mustTrain(t, cfg, dir, nil); err != nil {
			t.Fatal(err)
		}
		records, err := metrics.Read(filepath.Join(dir, "metrics.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if x, ok := r.Value("loss"); ok {
				losses[shards] = append(losses[shards], x)
			}
		}
	}
	differ := false
	for shards, all := range losses {
		for i, x := range all {
			if math.Abs(x/losses[0][i]-1) > 2e-5 {
				t.Errorf("%d shards, step %d: loss %g, of one part %g", shards, i+1, x, losses[0][i])
			}
			differ = differ || shards == 8 && x != losses[0][i]
		}
	}
	if !differ {
		t.Error("eight shards have the bits of one part: they are not added apart")
	}
}

// All ranks stop after the same step, whoever was asked, and as many as there are then continue to the same bytes.
func TestRanksStopTogetherAndOthersContinue(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.BatchSize, cfg.Train.Shards = 4, 4
	dir := t.TempDir()
	whole, cut := filepath.Join(dir, "whole"), filepath.Join(dir, "cut")
	if err := shared(t, 1, cfg, whole, nil); err != nil {
		t.Fatal(err)
	}
	asked := 0
	err := shared(t, 4, cfg, cut, func(rank int) func() bool {
		return func() bool {
			if rank == 2 {
				asked++
			}
			return rank == 2 && asked > 2
		}
	})
	if !errors.Is(err, shell.ErrInterrupted) {
		t.Fatalf("%v; want an interrupted run", err)
	}
	failures := among(t, 2, func(g *group.Group) error {
		trainer, _, err := ResumeAmong(context.Background(), g, cut, "", nil, io.Discard)
		if err == nil {
			_, err = trainer.Run(context.Background(), nil)
		}
		return err
	})
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	sameRun(t, "interrupted", whole, cut, cfg.Train.Steps)
}

// A rank that is gone ends the others, and nothing is saved of the step under way.
func TestAGoneRankEndsTheRun(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.BatchSize, cfg.Train.Shards, cfg.Checkpoint.Every, cfg.Eval.Every = 4, 2, 2, 0
	dir := filepath.Join(t.TempDir(), "run")
	failures := among(t, 2, func(g *group.Group) error {
		trainer, err := NewAmong(context.Background(), g, nil, cfg, dir, false, io.Discard)
		if err != nil {
			return err
		}
		_, err = trainer.Run(context.Background(), func() bool {
			if g.Rank() == 1 && trainer.Step() == 3 {
				g.Abort(1) // as a process that is killed at the end of a step
			}
			return false
		})
		return err
	})
	for rank, err := range failures {
		if err == nil || errors.Is(err, shell.ErrInterrupted) {
			t.Errorf("rank %d: %v; want an error", rank, err)
		}
	}
	all, _, err := checkpoints.Scan(dir)
	if err != nil || len(all) != 1 {
		t.Errorf("checkpoints %v, %v; want that of step 2 alone", all, err)
	}
}

// Ranks that were given different things say which, before the first step.
func TestRanksCompareWhatTheyWorkOn(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.BatchSize, cfg.Train.Shards = 4, 2
	dir := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct {
		want   string
		change func(*recipe.Config)
	}{
		{"config", func(c *recipe.Config) { c.Train.LearningRate *= 2 }},
		{"weights", func(c *recipe.Config) { c.Seed = 9 }},
	} {
		failures := among(t, 2, func(g *group.Group) error {
			own := cfg
			if g.Rank() == 1 {
				c.change(&own)
			}
			trainer, err := NewAmong(context.Background(), g, nil, own, dir+c.want, false, io.Discard)
			if err == nil {
				_, err = trainer.Run(context.Background(), nil)
			}
			return err
		})
		if err := errors.Join(failures...); err == nil || !strings.Contains(err.Error(), "rank 1 differs from rank 0") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want what differs, %s", err, c.want)
		}
	}
}

func TestShardsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		ranks  int
		want   string
		change func(*recipe.Train)
	}{
		{1, "want 0 or a power of two", func(c *recipe.Train) { c.Shards = 3 }},
		{1, "does not divide the 6 rows of a step", func(c *recipe.Train) { c.BatchSize, c.GradAccum, c.Shards = 3, 2, 4 }},
		{1, "per_layer_update keeps none", func(c *recipe.Train) { c.Shards, c.PerLayerUpdate, c.GradClip = 2, true, 0 }},
		{1, "zero", func(c *recipe.Train) { c.ZeRO = 1 }},
		{1, "want 0 or 1", func(c *recipe.Train) { c.ZeRO, c.Shards = 2, 2 }},
		{2, "--set train.shards=2", func(c *recipe.Train) {}},
		{4, "shards = 2 for 4 processes", func(c *recipe.Train) { c.Shards = 2 }},
	} {
		cfg := smallConfig(t)
		c.change(&cfg.Train)
		err := configs.Validate("config.toml", &cfg, recipe.Lists())
		if err == nil {
			err = shared(t, c.ranks, cfg, filepath.Join(t.TempDir(), "run"), nil)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}
