// Package cli holds what the commands share: exit codes and how errors become
// them. It knows nothing of models.
package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/train"
)

// Exit codes of every command.
const (
	ExitOK          = 0
	ExitFailed      = 1                     // the run failed
	ExitUsage       = 2                     // usage or config error; nothing was created
	ExitBroken      = 3                     // a verification found a broken promise
	ExitInterrupted = train.ExitInterrupted // state saved
)

// usageError marks mistakes on the command line.
type usageError struct{ error }

// Usagef is a mistake on the command line.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// brokenError marks what a verification found.
type brokenError struct{ error }

// Broken is the error of a verification, whose exit code is ExitBroken; nil if err is.
func Broken(err error) error {
	if err == nil {
		return nil
	}
	return brokenError{err}
}

// Main runs a command and returns the exit code. Errors go to standard error.
func Main(root *cobra.Command) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	train.Program = Program("train")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Usagef("%w\nsee: %s --help", err, c.CommandPath())
	})
	started := false
	for _, c := range root.Commands() {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error { started = true; return run(c, args) }
		}
	}
	err := root.Execute()
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
	var usage usageError
	var broken brokenError
	switch {
	case errors.As(err, &broken):
		return ExitBroken
	case errors.Is(err, train.ErrInterrupted):
		return ExitInterrupted
	case !started, errors.As(err, &usage), errors.Is(err, configs.ErrConfig), errors.Is(err, train.ErrUsage), errors.Is(err, train.ErrNotFound):
		return ExitUsage
	}
	return ExitFailed
}

// Program is how a person can start the named command of this project, given how
// this process was started: by go run, by a path, or by its name.
func Program(name string) string { return program(name, os.Args[0], runtime.GOOS) }

func program(name, self, goos string) string {
	dir, _ := filepath.Split(self)
	switch {
	case dir == "" || onPath(self, name):
		return name
	case strings.Contains(filepath.ToSlash(dir), "/go-build"): // where go run puts what it starts
		return "go run ./cmd/" + name
	case goos == "windows":
		name += ".exe"
	}
	return train.Quote(dir + name)
}

// onPath tells whether a shell finds the named command beside self.
func onPath(self, name string) bool {
	found, err := exec.LookPath(name)
	return err == nil && filepath.Dir(found) == filepath.Dir(self)
}

// maxThreads bounds --threads: each is an operating-system thread that waits for
// work, so that far more than there are cores only stop each other.
func maxThreads() int { return max(64, 4*runtime.NumCPU()) }

// Threads adds the --threads flag, which sizes the worker pool.
func Threads(c *cobra.Command) {
	n := c.Flags().Int("threads", 0, "worker threads (0: one a core)")
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if *n < 0 || *n > maxThreads() {
			return Usagef("--threads = %d; want 0 (one a core) to %d", *n, maxThreads())
		}
		kernel.SetThreads(*n)
		if before != nil {
			return before(c, args)
		}
		return nil
	}
}
