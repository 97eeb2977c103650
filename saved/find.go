package saved

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
)

// ResumeCommand is the command that continues the run in dir.
func ResumeCommand(dir string, more ...string) string {
	return shell.Command("train", append([]string{"resume", dir}, more...)...)
}

// ErrNotFound marks a path that leads to no checkpoint.
var ErrNotFound = shell.Sentinel(shell.ExitUsage, "no checkpoint to use")

// Find returns the checkpoint folder that path means: path itself, or of a run
// its best checkpoint by validation loss, or with last its newest. A path that
// is neither, or a run without a checkpoint, matches ErrNotFound.
func Find(path string, last bool) (string, error) {
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil {
		return path, nil
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%w: %s is neither a run nor a checkpoint: there is no such folder", ErrNotFound, path)
	}
	all, err := checkpoints.List(path)
	if err != nil {
		return "", err
	}
	switch {
	case len(all) == 0 && IsRun(path):
		return "", fmt.Errorf("%w: %s has no complete checkpoint yet; continue it by: %s", ErrNotFound, path, ResumeCommand(path))
	case len(all) == 0:
		return "", fmt.Errorf("%w: %s is neither a run nor a checkpoint: it has no config.toml and no manifest.json", ErrNotFound, path)
	}
	newest := all[len(all)-1]
	if last {
		return newest, nil
	}
	c, err := checkpoints.Open(newest)
	if err != nil {
		return "", err
	}
	s, err := ReadState(c)
	if err != nil {
		return "", err
	}
	if best := checkpoints.StepDir(path, s.BestStep); s.BestStep > 0 && slices.Contains(all, best) {
		return best, nil
	}
	return newest, nil
}

// IsRun tells whether dir is the folder of a run: create writes config.toml
// first, clean removes it last.
func IsRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "config.toml"))
	return err == nil
}
