package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

// attack is a series of mutated inputs.
type attack struct {
	seed   uint64
	limits limits
	keep   string // folder for inputs that failed; "": the temporary one, which is then kept
	out    io.Writer
}

func main() {
	a := attack{limits: limits{time: 20 * time.Second, memory: 1 << 30}, out: os.Stdout}
	var duration time.Duration
	c := &cobra.Command{
		Use:   "attack",
		Short: "Run commands on damaged and hostile inputs by the thousand",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
			defer stop()
			return a.run(ctx, filepath.Join("tests", "testdata", "v1"), duration)
		},
	}
	c.Flags().DurationVar(&duration, "for", time.Minute, "how long to go on")
	c.Flags().Uint64Var(&a.seed, "seed", 1, "of the changes; a seed gives the same inputs again")
	c.Flags().StringVar(&a.keep, "keep", "", "folder for the inputs that fail (default: a temporary one)")
	c.Flags().DurationVar(&a.limits.time, "time", a.limits.time, "limit of one command")
	c.Flags().Int64Var(&a.limits.memory, "memory", a.limits.memory, "limit of one command, bytes")
	os.Exit(cli.Main(c))
}

// run attacks until the time is over; the error counts what failed.
func (a attack) run(ctx context.Context, seeds string, duration time.Duration) error {
	dir, err := os.MkdirTemp("", "sparrow-attack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "sparrow/cmd/train", "sparrow/cmd/model", "sparrow/cmd/compress")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if a.keep == "" {
		if a.keep, err = os.MkdirTemp("", "sparrow-attack-kept-"); err != nil {
			return err
		}
		defer os.Remove(a.keep) // which fails, as it should, where something is kept
	}
	pristine := filepath.Join(dir, "pristine")
	subjects, err := prepare(ctx, bin, seeds, pristine)
	if err != nil {
		return err
	}
	r := report{counts: map[string]map[class]int{}}
	began := time.Now()
	shown := began
	for n := uint64(0); time.Since(began) < duration && ctx.Err() == nil; n++ {
		work := filepath.Join(dir, "work")
		if err := os.CopyFS(work, os.DirFS(pristine)); err != nil {
			return err
		}
		t := a.trial(ctx, bin, work, subjects, n)
		if ctx.Err() != nil {
			break
		}
		r.add(t)
		if t.class.bad() {
			kept := filepath.Join(a.keep, fmt.Sprintf("seed%d-%d", a.seed, n))
			if err := errors.Join(os.RemoveAll(kept), os.Rename(work, kept)); err != nil {
				if err := os.CopyFS(kept, os.DirFS(work)); err != nil { // another file system
					return err
				}
			}
			fmt.Fprintf(a.out, "%s: %s\n  changed: %s\n  in %s\n%s\n", t.class, t.command, t.change, kept, indent(t.output))
		}
		if err := os.RemoveAll(work); err != nil {
			return err
		}
		if time.Since(shown) > 10*time.Second {
			shown = time.Now()
			fmt.Fprintf(os.Stderr, "%d commands, %s left\n", r.total(), (duration - time.Since(began)).Round(time.Second))
		}
	}
	fmt.Fprint(a.out, r.table(a.seed))
	if bad := r.bad(); bad > 0 {
		return fmt.Errorf("%d of %d commands failed; their inputs are in %s", bad, r.total(), a.keep)
	}
	return nil
}

// shares are the kinds of subjects, as often as they are attacked: checkpoints are what strangers send.
var shares = []string{"checkpoint", "checkpoint", "checkpoint", "checkpoint", "checkpoint", "config", "config", "data", "data", "cache"}

// trial changes one subject in the folder work and runs one command on it. The n-th trial of a seed is always the same.
func (a attack) trial(ctx context.Context, bin, work string, subjects []subject, n uint64) trial {
	m := newMutator(a.seed, n)
	kind := pick(m, shares)
	s := pick(m, slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool { return s.kind != kind }))
	command := s.commands[m.IntN(len(s.commands))]
	t := trial{subject: s.kind, command: command}
	change, err := s.change(m, work)
	if err != nil {
		t.class, t.output = broken, err.Error()
		return t
	}
	t.change = change
	t.class, t.output = execute(ctx, a.limits, bin, work, command)
	return t
}

// trial is what came of one input.
type trial struct {
	subject string
	change  string
	command []string
	class   class
	output  string
}

// report counts what came out, by kind of subject.
type report struct{ counts map[string]map[class]int }

func (r report) add(t trial) {
	if r.counts[t.subject] == nil {
		r.counts[t.subject] = map[class]int{}
	}
	r.counts[t.subject][t.class]++
}

func (r report) total() (n int) {
	for _, c := range r.counts {
		for _, k := range c {
			n += k
		}
	}
	return n
}

func (r report) bad() (n int) {
	for _, c := range r.counts {
		for k, v := range c {
			if k.bad() {
				n += v
			}
		}
	}
	return n
}

func (r report) table(seed uint64) string {
	kinds := make([]string, 0, len(r.counts))
	for k := range r.counts {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	text := fmt.Sprintf("seed %d: %d commands\n%-12s", seed, r.total(), "")
	for _, c := range classes {
		text += fmt.Sprintf(" %9s", c)
	}
	text += "\n"
	for _, k := range kinds {
		text += fmt.Sprintf("%-12s", k)
		for _, c := range classes {
			text += fmt.Sprintf(" %9d", r.counts[k][c])
		}
		text += "\n"
	}
	return text
}
