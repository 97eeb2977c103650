package provenance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// Main is the main function of a program that measures: Ctrl-C ends its context, and an error is its last line.
func Main(run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Cache makes a folder for finished cells: the one that is named or, without, that name in the user's cache.
func Cache(dir, name string) (string, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("%w; name a folder with --cache", err)
		}
		dir = filepath.Join(base, "sparrow", name)
	}
	return dir, os.MkdirAll(dir, 0o755)
}
