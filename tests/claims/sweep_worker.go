package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"sparrow/internal/measure"
	"sparrow/kernel"
)

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
