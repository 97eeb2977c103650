package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/shell"
	"sparrow/kernel"
)

// usageError marks mistakes on the command line.
type usageError struct{ error }

func (usageError) ExitCode() int   { return shell.ExitUsage }
func (e usageError) Unwrap() error { return e.error }

// Usagef is a mistake on the command line.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Main runs a command and returns the exit code, which its error carries. Errors go to standard error, with long
// values cut.
func Main(root *cobra.Command) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = version()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		words := append(strings.Fields(c.CommandPath()), "--help")
		return Usagef("%w\nsee: %s", err, shell.Command(words[0], words[1:]...))
	})
	started := false
	var watch func(c *cobra.Command)
	watch = func(c *cobra.Command) {
		if c.HasParent() {
			complete(c)
		}
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					words := append(strings.Fields(c.CommandPath()), "--help")
					return Usagef("%w\nusage: %s\nsee: %s", err, c.UseLine(), shell.Command(words[0], words[1:]...))
				}
				return nil
			}
		}
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error { started = true; return run(c, args) }
		}
		for _, sub := range c.Commands() {
			watch(sub)
		}
	}
	watch(root)
	err := root.Execute()
	if err == nil {
		return shell.ExitOK
	}
	fmt.Fprintln(os.Stderr, shell.Clip(strings.TrimSpace(err.Error())))
	if !started {
		return shell.ExitUsage
	}
	return shell.ExitCode(err)
}

// maxThreads bounds --threads: each is an operating-system thread that waits for
// work, so that far more than there are cores only stop each other.
func maxThreads() int { return max(64, 4*runtime.NumCPU()) }

// Threads adds the --threads flag, which sizes the worker pool.
func Threads(c *cobra.Command) {
	n := c.Flags().Int("threads", 0, "worker threads (0: one a core)")
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if err := SetThreads(*n); err != nil {
			return err
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
}

// SetThreads sizes the worker pool; 0: one thread a core.
func SetThreads(n int) error {
	if n < 0 || n > maxThreads() {
		return Usagef("--threads = %d; want 0 (one a core) to %d", n, maxThreads())
	}
	kernel.SetThreads(n)
	return nil
}
