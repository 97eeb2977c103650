package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/extend"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// Cell is an arm with a seed at a learning rate.
type Cell struct {
	Arm  string  `json:"arm"`
	Seed int     `json:"seed"`
	Rate float64 `json:"rate"`
	Tune bool    `json:"tune,omitempty"` // the last step alone, on the texts that choose
}

// Result is what a cell measured.
type Result struct {
	Cell
	Losses     []Loss  `json:"losses"` // at each of the claim's steps
	Parameters int     `json:"parameters"`
	Rank       int     `json:"rank,omitempty"`
	Kept       float64 `json:"kept,omitempty"` // energy
	Rise       float64 `json:"rise,omitempty"` // of the parent's loss by factors alone, as a share
	Copied     int     `json:"copied"`
	Similar    int     `json:"similar"`
	Fallen     int     `json:"fallen_back"`
	StepTime   float64 `json:"step_seconds"` // of the longest run, with its evaluation
}

// runner makes cells, and keeps them.
type runner struct {
	claim *Claim
	cache string
	key   []byte // of the claim
	work  string // folder of parents
	made  map[int]*subject
	began time.Time
	cells int
}

// subject is that of a seed, made when it is first wanted.
func (r *runner) subject(ctx context.Context, seed int) (*subject, error) {
	if s := r.made[seed]; s != nil {
		return s, nil
	}
	dir := filepath.Join(r.work, fmt.Sprint("seed", seed))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	make := r.claim.Comments.subject
	if r.claim.Comments == nil {
		make = r.claim.Pairs.subject
	}
	s, err := make(ctx, r.claim, seed, dir)
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	r.made[seed] = s
	return s, nil
}

// cell finds a cell in the cache or makes it.
func (r *runner) cell(ctx context.Context, c Cell) (*Result, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "vocabulary 1 %s %+v", r.key, c)
	path := filepath.Join(r.cache, hex.EncodeToString(sum.Sum(nil)[:16])+".json")
	var got Result
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &got) == nil && got.Cell == c {
		return &got, nil
	}
	s, err := r.subject(ctx, c.Seed)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(r.work, "cell-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made, err := r.make(ctx, s, c, dir)
	if err != nil {
		return nil, fmt.Errorf("%+v: %w", c, err)
	}
	r.cells++
	last := made.Losses[len(made.Losses)-1]
	fmt.Fprintf(os.Stderr, "%s, seed %d, rate %g: %.4f nats after %d steps; %d cells in %s\n", c.Arm, c.Seed, c.Rate, last.Nats,
		r.claim.Steps[len(r.claim.Steps)-1], r.cells, time.Since(r.began).Round(time.Second))
	text, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	return made, checkpoints.WriteFileAtomic(path, text)
}

// make extends the parent, measures it, and trains it on.
func (r *runner) make(ctx context.Context, s *subject, c Cell, dir string) (*Result, error) {
	arm := r.claim.Arms[r.claim.named(c.Arm)]
	parent, err := saved.Open(s.parent, true, model.Options{})
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	out, start, data := &Result{Cell: c, Parameters: parent.Session.Store().Parameters()}, s.parent, s.own
	if arm.Start != "" {
		set := extend.DefaultSettings()
		set.Tokenizer, set.Start, set.Rank, set.Shuffled, set.Seed, set.Words = s.after, arm.Start, arm.Rank, arm.Shuffled, uint64(c.Seed), s.vectors
		if arm.Energy > 0 {
			if set.Rank, err = rankOf(ctx, parent, arm.Energy); err != nil {
				return nil, err
			}
		}
		x, err := extend.Run(ctx, parent, set)
		if err != nil {
			return nil, err
		}
		start, data = filepath.Join(dir, "start"), s.data
		if err := x.Write(start); err != nil {
			return nil, err
		}
		out.Parameters, out.Rank, out.Kept = x.Report.ParametersAfter, x.Report.Rank, x.Report.Energy
		out.Copied, out.Similar, out.Fallen = x.Report.Copied, x.Report.Similar, x.Report.Fallen
		if out.Rank > 0 && !c.Tune {
			if out.Rise, err = s.rise(ctx, parent, out.Rank, filepath.Join(dir, "factors")); err != nil {
				return nil, err
			}
		}
	}
	like, err := saved.Describe(start, "", true)
	if err != nil {
		return nil, err
	}
	texts, steps := s.score, r.claim.Steps
	if c.Tune {
		texts, steps = s.choice, steps[len(steps)-1:]
	}
	for _, n := range steps {
		at := start
		if n > 0 {
			cfg := r.claim.Adapt
			cfg.Name, cfg.Seed, cfg.Data, cfg.Model, cfg.Task = "further", uint64(c.Seed), data, like.Config.Model, like.Config.Task
			cfg.Train.Steps, cfg.Train.LearningRate, cfg.Train.InitFrom = n, c.Rate, start
			cfg.Train.WarmupSteps = min(cfg.Train.WarmupSteps, n/2)
			cfg.Eval.Every, cfg.Checkpoint.Every = n, n
			at = filepath.Join(dir, fmt.Sprint("steps", n))
			began := time.Now()
			if err := trained(ctx, cfg, at); err != nil {
				return nil, err
			}
			out.StepTime = time.Since(began).Seconds() / float64(n)
		}
		loss, err := s.loss(at, texts)
		if err != nil {
			return nil, err
		}
		out.Losses = append(out.Losses, loss)
	}
	return out, nil
}

// rankOf is the least rank that keeps that share of the embedding's squares.
func rankOf(ctx context.Context, parent *saved.Model, share float64) (int, error) {
	tokenizer, err := task.ReadTokenizer(parent.Files)
	if err != nil {
		return 0, err
	}
	_, words, _ := parent.Session.Store().Words()
	low, high := 1, min(words.In, words.Out) // high keeps all
	for low < high {
		set := extend.DefaultSettings()
		set.Tokenizer, set.Start, set.Rank = tokenizer, "mean", (low+high)/2
		x, err := extend.Run(ctx, parent, set)
		if err != nil {
			return 0, err
		}
		if x.Report.Energy >= share {
			high = set.Rank
		} else {
			low = set.Rank + 1
		}
	}
	return low, nil
}

// rise is how much higher the parent's own loss is with its embedding in factors, as a share of it.
func (s *subject) rise(ctx context.Context, parent *saved.Model, rank int, dir string) (float64, error) {
	set := extend.DefaultSettings()
	var err error
	if set.Tokenizer, err = task.ReadTokenizer(parent.Files); err != nil {
		return 0, err
	}
	set.Start, set.Rank = "mean", rank
	x, err := extend.Run(ctx, parent, set)
	if err != nil {
		return 0, err
	}
	if err := x.Write(dir); err != nil {
		return 0, err
	}
	before, err := s.loss(s.parent, s.score)
	if err != nil {
		return 0, err
	}
	after, err := s.loss(dir, s.score)
	return after.Nats/before.Nats - 1, err
}

// rate chooses an arm's learning rate with the first seed: the best of those tried, to which others are added while it is at the edge.
func (r *runner) rate(ctx context.Context, arm string) (best float64, tried []Result, err error) {
	rates, at := slices.Clone(r.claim.Rates), 0
	for range 4 {
		tried, at = nil, 0
		for i, rate := range rates {
			got, err := r.cell(ctx, Cell{Arm: arm, Seed: 1, Rate: rate, Tune: true})
			if err != nil {
				return 0, nil, err
			}
			if tried = append(tried, *got); got.Losses[0].Nats < tried[at].Losses[0].Nats {
				at = i
			}
		}
		switch at {
		case 0:
			rates = slices.Insert(rates, 0, rates[0]*rates[0]/rates[1])
		case len(rates) - 1:
			rates = append(rates, rates[at]*rates[at]/rates[at-1])
		default:
			return rates[at], tried, nil
		}
	}
	return tried[at].Rate, tried, nil
}

// key is what a claim's cells depend on beside their place.
func key(c *Claim) ([]byte, error) {
	part := *c
	part.Title, part.Statement, part.Paper, part.Expect, part.Rates, part.Seeds = "", "", "", nil, nil, 0
	return configs.Encode(part)
}
