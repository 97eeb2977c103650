package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sparrow/interchange"
	"sparrow/interchange/hub"
	"sparrow/internal/shell"
	"sparrow/metrics/progress"
)

// hubPrefix marks a source that a hub has.
const hubPrefix = "hub:"

// local is the path of a source: what a hub has is fetched, with progress on standard error.
func local(ctx context.Context, source string) (string, error) {
	name, ok := strings.CutPrefix(source, hubPrefix)
	if !ok {
		return source, nil
	}
	id, err := hub.Parse(name)
	if err != nil {
		return "", err
	}
	h := hub.Environment()
	weights := id.File
	choose := func(names []string) (need []string, err error) {
		if id.File != "" {
			if !slices.Contains(names, id.File) {
				return nil, fmt.Errorf("has no file %s", id.File)
			}
			return []string{id.File}, nil
		}
		need, weights, err = interchange.Needed(names)
		return need, err
	}
	var shown *progress.Progress
	var began time.Time
	var first int64
	dir, err := h.Fetch(ctx, id, choose, func(done, total int64) {
		if shown == nil {
			began, first = time.Now(), done
			fmt.Fprintf(os.Stderr, "fetching %s from %s, %.1f MB\n", id.Repo(), h.Endpoint, float64(total)/1e6)
			shown = progress.New(os.Stderr, int(total), 0)
			shown.Bytes("fetched")
		}
		if now := time.Since(began); now > patience || done == total {
			shown.Step(int(done), 0, float64(done-first)/now.Seconds())
		}
	})
	if shown != nil {
		shown.Close()
	}
	if errors.Is(err, context.Canceled) {
		return "", fmt.Errorf("%w: what has come stays in %s, and the same command goes on from there", shell.ErrInterrupted, h.Cache)
	}
	return filepath.Join(dir, filepath.FromSlash(weights)), err
}
