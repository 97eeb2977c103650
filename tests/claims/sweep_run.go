package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/internal/measure"
	"sparrow/kernel"
	"sparrow/tests/claims/provenance"
)

// turn is how long one arm is timed in one round, seconds: a run that takes less is repeated.
const turn = 0.2

// maxRepeats bounds that.
const maxRepeats = 1000

// executeSweep measures all points of a sweep that are not in the cache, one at a time: a clock wants the machine alone.
func executeSweep(ctx context.Context, c *Claim, o options, stderr io.Writer) (*outcome, error) {
	store, err := openCache(o.cache)
	if err != nil {
		return nil, err
	}
	v, err := newVetting("sparrow/recipe", "sparrow/model/decode", "sparrow/attention")
	if err != nil {
		return nil, err
	}
	out := &outcome{claim: c, commit: provenance.Commit(c.path), machine: provenance.This(), vetting: v}
	total := len(c.Sweep.Batches) * len(c.Sweep.Sizes)
	for _, batch := range c.Sweep.Batches {
		for _, size := range c.Sweep.Sizes {
			began := time.Now()
			key, err := c.pointKey(size, batch, o.quick)
			if err != nil {
				return nil, err
			}
			p, cached := store.loadPoint(key)
			cached = cached && p.Code == v.code // of other code nobody can tell whether it is as fast
			if !cached {
				if p, err = c.measurePoint(ctx, size, batch, o.quick); err != nil {
					if ctx.Err() != nil {
						err = fmt.Errorf("interrupted; finished points are in %s, the same command goes on: %w", store.dir, context.Canceled)
					}
					return nil, err
				}
				p.Commit, p.Code = out.commit, v.code
				if err := store.savePoint(key, p); err != nil {
					return nil, err
				}
			}
			p.measure, p.images = c.Sweep.Measure, c.seesImages()
			out.points = append(out.points, p)
			from := duration(time.Since(began).Seconds())
			if cached {
				from = "from the cache"
			}
			fmt.Fprintf(stderr, "%s [%d/%d] size %d, batch %d: %s\n", c.Name, len(out.points), total, size, batch, from)
		}
	}
	for _, e := range c.Sweep.Expect {
		out.findings = append(out.findings, e.Evaluate(out.points))
	}
	out.verdict = overall(out.findings)
	return out, nil
}

// request is what the worker of arm i builds.
func (c *Claim) request(i, size, batch int) (sweepRequest, error) {
	cfg, err := c.sizeConfig(i, size)
	if err != nil {
		return sweepRequest{}, err
	}
	text, err := configs.Encode(cfg)
	return sweepRequest{Config: string(text), Measure: c.measureOf(i), Size: size, Batch: batch, VocabSize: c.Sweep.VocabSize}, err
}

// measurePoint has a process for each arm and one for the machine, and asks them in turn, so that what else the machine
// does meets all alike.
func (c *Claim) measurePoint(ctx context.Context, size, batch int, quick bool) (Point, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the processes
	defer cancel()
	p := Point{Size: size, Batch: batch}
	var machine *measure.Lane
	if c.Sweep.Measure == "decode" { // of which alone a roofline is known
		var err error
		if machine, err = startLane(ctx); err != nil {
			return p, err
		}
		defer machine.End()
	}
	lanes, repeats := make([]*measure.Lane, len(c.Arms)), make([]int, len(c.Arms))
	for i, a := range c.Arms {
		var err error
		if lanes[i], err = startLane(ctx); err != nil {
			return p, err
		}
		defer lanes[i].End()
		r, err := c.request(i, size, batch)
		if err != nil {
			return p, err
		}
		built, err := askLane(lanes[i], r)
		if err != nil {
			return p, fmt.Errorf("%s at size %d, batch %d: %w", a.Name, size, batch, err)
		}
		p.Threads = built.Threads
		p.Arms = append(p.Arms, ArmPoint{Arm: a.Name, Parameters: built.Parameters, Bytes: built.Bytes, FLOPs: built.FLOPs})
		var warm sweepReply
		for range 2 { // the first run of a program also compiles it
			if warm, err = askLane(lanes[i], sweepRequest{Repeat: 1}); err != nil {
				return p, err
			}
		}
		repeats[i] = 1
		if !quick {
			repeats[i] = int(min(maxRepeats, max(1, math.Ceil(turn/warm.Seconds))))
		}
	}
	for range c.Sweep.Rounds {
		if machine != nil {
			speed, err := askLane(machine, sweepRequest{Machine: true})
			if err != nil {
				return p, err
			}
			p.Bandwidth, p.Peak = append(p.Bandwidth, speed.Bandwidth), append(p.Peak, speed.Peak)
		}
		for i, l := range lanes {
			a, err := askLane(l, sweepRequest{Repeat: repeats[i]})
			if err != nil {
				return p, err
			}
			p.Arms[i].Seconds, p.Arms[i].Memory = append(p.Arms[i].Seconds, a.Seconds), a.Memory
		}
	}
	return p, nil
}

// pointKey names a point by what decides it.
func (c *Claim) pointKey(size, batch int, quick bool) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "claim point 1\n%d %d %d %v %d %s\n", size, batch, c.Sweep.Rounds, quick, kernel.Threads(), kernel.ISA())
	for i, a := range c.Arms {
		r, err := c.request(i, size, batch)
		if err != nil {
			return "", err
		}
		text, err := json.Marshal(r)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %s\n", a.Name, text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// loadPoint finds a finished point. A file that is spoilt counts as none.
func (c *cache) loadPoint(key string) (Point, bool) {
	var p Point
	text, err := os.ReadFile(c.path(key))
	ok := err == nil && json.Unmarshal(text, &p) == nil && len(p.Arms) > 0 && p.rounds() > 0 &&
		!slices.ContainsFunc(p.Arms, func(a ArmPoint) bool { return len(a.Seconds) != p.rounds() })
	return p, ok
}

// savePoint keeps a finished point, whole or not at all.
func (c *cache) savePoint(key string, p Point) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(c.path(key), append(text, '\n'))
}

// sweepCommand is the argument that makes this program a worker of a sweep: one arm at one size, or the machine.
const sweepCommand = "sweep-worker"

// sweepRequest is one line to such a worker. Prepare comes first and builds; each Repeat > 0 asks for a time; Machine asks
// for the machine's speeds.
type sweepRequest struct {
	Config    string `json:"config,omitempty"` // TOML
	Measure   string `json:"measure,omitempty"`
	Size      int    `json:"size,omitempty"`
	Batch     int    `json:"batch,omitempty"`
	VocabSize int    `json:"vocab_size,omitempty"`
	Repeat    int    `json:"repeat,omitempty"`
	Machine   bool   `json:"machine,omitempty"`
}

// sweepReply is its answer.
type sweepReply struct {
	Seconds    float64 `json:"seconds,omitempty"` // of one run, the mean of Repeat
	Memory     int     `json:"memory,omitempty"`  // largest so far beyond what the process began with
	Parameters int     `json:"parameters,omitempty"`
	Bytes      float64 `json:"bytes,omitempty"`
	FLOPs      float64 `json:"flops,omitempty"`
	Bandwidth  float64 `json:"bandwidth,omitempty"`
	Peak       float64 `json:"peak,omitempty"`
	Threads    int     `json:"threads,omitempty"`
	Error      string  `json:"error,omitempty"`
}

// sweepWork answers requests until its input ends.
func sweepWork(in io.Reader, out io.Writer) int {
	signal.Ignore(os.Interrupt) // a terminal sends it to all; the program closes our input
	start := measure.ResidentBytes()
	var s subject
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r sweepRequest
		if err := requests.Decode(&r); err != nil {
			return exitOK
		}
		answer, err := s.answer(r)
		if err != nil {
			answer.Error = err.Error()
		}
		if peak := measure.PeakBytes(); peak > 0 {
			answer.Memory = peak - start
		}
		if answers.Encode(answer) != nil {
			return exitFailed
		}
	}
}

func (s *subject) answer(r sweepRequest) (a sweepReply, err error) {
	switch {
	case r.Machine:
		a.Bandwidth, a.Peak = machineSpeed()
	case r.Config != "":
		*s, err = newSubject(r)
		a.Parameters, a.Bytes, a.FLOPs, a.Threads = s.parameters, s.bytes, s.flops, kernel.Threads()
	case s.run == nil || r.Repeat < 1:
		err = errors.New("nothing to time: want a config first, and repeat")
	default:
		began := time.Now()
		for i := 0; i < r.Repeat && err == nil; i++ {
			err = s.run()
		}
		a.Seconds = time.Since(began).Seconds() / float64(r.Repeat)
	}
	return a, err
}

// startLane runs this very program as a worker of a sweep.
func startLane(ctx context.Context) (*measure.Lane, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return measure.Start(exec.CommandContext(ctx, self, sweepCommand))
}

// askLane sends a request and waits for the answer.
func askLane(l *measure.Lane, r sweepRequest) (a sweepReply, err error) {
	if err := l.Ask(r, &a); err != nil {
		return a, fmt.Errorf("a measuring process %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}
