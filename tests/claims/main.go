// Command claims checks what the papers promise: it trains the networks that a
// claim compares, tuned alike, or measures their cost at several sizes, and
// computes the verdict from an expectation that was written down before.
//
//	go run ./tests/claims                          every claim; hours
//	go run ./tests/claims sltrain-quality          one claim: docs/claims/sltrain-quality.{md,svg,json}
//	go run ./tests/claims --stored                 judge all again from docs/claims, and write docs/claims.md
//	go run ./tests/claims NAME --dry-run           what it would run, and for how long
//	go run ./tests/claims --quick                  a few steps of each, to check the machinery; writes nothing
//
// A claim is tests/claims/NAME.toml. Each training run is a process of its own,
// and so is each network at each size, so that its peak memory is its own, and each
// compression of a trained network. A finished run is kept in the cache by the
// hash of its resolved config and corpus: a program that was killed goes on where
// it stopped. A full run wants the claim's file committed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/tests/claims/provenance"
)

// Exit codes, as those of the commands. A verdict is a result, whatever it is.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// errUsage marks what was asked for and cannot be had.
var errUsage = errors.New("claims: cannot start")

// options are the flags.
type options struct {
	quick, json      bool
	stored, dryRun   bool
	seeds, jobs      int
	piece            time.Duration
	cache, docs, dir string // dir holds the claims
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its streams; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == workerCommand {
		return work(os.Stdin, os.Stdout)
	}
	if len(args) == 1 && args[0] == sweepCommand {
		return sweepWork(os.Stdin, os.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	started := false
	root := &cobra.Command{
		Use:   "claims [NAME...]",
		Short: "Check what the papers promise, on this machine",
		Long: "Check what the papers promise, on this machine. NAME is a claim in tests/claims (default: all), or the path\n" +
			"of a claim's .toml file.",
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(_ *cobra.Command, names []string) error {
			started = true
			return check(ctx, o, names, stdout, stderr)
		},
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.Flags()
	flags.BoolVar(&o.quick, "quick", false, "check the machinery with a few steps; writes no document")
	flags.BoolVar(&o.stored, "stored", false, "judge again from the stored results of docs/claims; makes no run")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be run and about how long it takes; makes no run")
	flags.BoolVar(&o.json, "json", false, "print one JSON object a line, one a claim")
	flags.IntVar(&o.seeds, "seeds", 0, "seeds of each arm (default: what the claim says)")
	flags.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "training runs side by side, one thread each, where the claim allows it")
	flags.DurationVar(&o.piece, "piece", 20*time.Minute, "after which a training run saves its state and goes on in a new process, so that no more is lost when it is cut")
	flags.StringVar(&o.cache, "cache", "", "folder of finished runs (default: sparrow/claims in the user's cache; with --quick a temporary one)")
	flags.StringVar(&o.docs, "docs", "", "folder of the results (default docs/claims)")
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case !started, errors.Is(err, errUsage), errors.Is(err, configs.ErrConfig):
		return exitUsage
	}
	return exitFailed
}

// check runs the named claims one after the other.
func check(ctx context.Context, o options, names []string, stdout, stderr io.Writer) error {
	if o.seeds < 0 || o.jobs < 1 {
		return fmt.Errorf("%w: --seeds = %d, --jobs = %d; want at least 0 and 1", errUsage, o.seeds, o.jobs)
	}
	root, err := provenance.Root()
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	o.dir = filepath.Join(root, "tests", "claims")
	if o.docs == "" {
		o.docs = filepath.Join(root, "docs", "claims")
	}
	claims, err := loadClaims(o.dir, names)
	if err != nil {
		return err
	}
	for _, c := range claims { // all at once: nobody wants to learn of the last one after hours
		if !o.quick && !provenance.Committed(c.path) {
			return fmt.Errorf("%w: %s is not committed as it is: an expectation is written down before the first measurement", errUsage, c.path)
		}
	}
	if o.cache == "" {
		var done func()
		if o.cache, done, err = cacheDir(o.quick); err != nil {
			return err
		}
		defer done()
	}
	table := o.stored && len(names) == 0
	for _, c := range claims {
		if _, err := os.Stat(filepath.Join(o.docs, c.Name+".json")); table && err != nil {
			continue // the table tells that it has no result
		}
		if err := checkOne(ctx, o, c, stdout, stderr); err != nil {
			return fmt.Errorf("claims: %s: %w", c.Name, err)
		}
	}
	if table {
		text, err := claimsTable(o.dir, o.docs)
		if err != nil {
			return err
		}
		return checkpoints.WriteFileAtomic(filepath.Clean(o.docs)+".md", []byte(text))
	}
	return nil
}

// checkOne runs one claim and reports it.
func checkOne(ctx context.Context, o options, c *Claim, stdout, stderr io.Writer) error {
	why, err := c.makeData(o.cache, os.Getenv(c.RootFrom))
	if err != nil {
		return err
	}
	if why == "" {
		why = c.missing(os.Getenv(c.RootFrom))
	}
	if c.Imported != nil && why == "" {
		why = c.Imported.absent()
	}
	if why != "" && !o.stored && !o.dryRun {
		fmt.Fprintf(stderr, "%s: skipped: %s\n", c.Name, why)
		return nil
	}
	if o.quick {
		if err := c.shrink(); err != nil {
			return err
		}
	}
	if o.seeds > 0 {
		c.Seeds = o.seeds
	}
	measure := execute
	if c.Sweep != nil {
		measure = executeSweep
	}
	if c.Compress != nil {
		measure = executeCompression
	}
	var out *outcome
	if o.stored {
		out, err = c.judgeStored(o.docs)
	} else {
		if err := c.announce(o, stderr); err != nil || o.dryRun {
			return err
		}
		out, err = measure(ctx, c, o, stderr)
	}
	if err != nil {
		return err
	}
	if !o.quick {
		if err := out.write(o.docs); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "%s: written to %s\n", c.Name, filepath.Join(o.docs, c.Name+".{md,svg,json}"))
	}
	if o.json {
		return json.NewEncoder(stdout).Encode(out.report())
	}
	_, err = fmt.Fprintln(stdout, out.text(o.quick))
	return err
}

// cacheDir is where finished runs are kept: for good, or for this process only.
func cacheDir(temporary bool) (dir string, done func(), err error) {
	if temporary {
		dir, err = os.MkdirTemp("", "sparrow-claims-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w; name a folder with --cache", errUsage, err)
	}
	return filepath.Join(base, "sparrow", "claims"), func() {}, nil
}
