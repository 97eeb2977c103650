package saved

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
// is neither, or a run without a checkpoint, matches ErrNotFound. Where the
// checkpoint that is wanted is damaged, or the newest, which names the best,
// there is an error: no other one is taken in its place.
func Find(path string, last bool) (string, error) {
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil {
		return path, nil
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		return "", fmt.Errorf("%w: %s is neither a run nor a checkpoint: there is no such folder", ErrNotFound, path)
	case !info.IsDir() && slices.Contains([]string{".gguf", ".bin", ".whl", ".zip", ".safetensors"}, filepath.Ext(path)):
		return "", fmt.Errorf("%w: %s is a file; if it holds a model from elsewhere, make a checkpoint of it by: %s", ErrNotFound, path, importCommand(path))
	case !info.IsDir():
		return "", fmt.Errorf("%w: %s is a file; want the folder of a run, such as runs/NAME, or of a checkpoint", ErrNotFound, path)
	}
	all, damaged, err := checkpoints.Scan(path)
	if err != nil {
		return "", err
	}
	switch {
	case len(all) == 0 && len(damaged) > 0:
		return "", AllDamaged(path, damaged)
	case len(all) == 0 && IsRun(path):
		return "", fmt.Errorf("%w: %s has no complete checkpoint yet; continue it by: %s", ErrNotFound, path, ResumeCommand(path))
	case len(all) == 0 && lostManifest(path):
		_, err := checkpoints.Open(path) // says what is missing
		return "", err
	case len(all) == 0 && fromElsewhere(path):
		return "", fmt.Errorf("%w: %s is a model from elsewhere; make a checkpoint of it by: %s", ErrNotFound, path, importCommand(path))
	case len(all) == 0:
		return "", fmt.Errorf("%w: %s is neither a run nor a checkpoint: it has no config.toml and no manifest.json", ErrNotFound, path)
	}
	newest := all[len(all)-1]
	if newer := NewerThan(damaged, newest); len(newer) > 0 {
		return "", fmt.Errorf("%w; restore it from a copy, or name another checkpoint: the newest one that is sound is %s", damageOf(newer), newest)
	}
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
	best := checkpoints.StepDir(path, s.BestStep)
	for i, d := range damaged {
		if d.Dir == best {
			return "", fmt.Errorf("%w, and it is the best one; restore it from a copy, or name another checkpoint: the newest one is %s", damageOf(damaged[i:i+1]), newest)
		}
	}
	if (s.BestStep > 0 || s.StartBest) && slices.Contains(all, best) {
		return best, nil
	}
	return newest, nil
}

// fromElsewhere tells whether a folder looks like one of Hugging Face's kind.
func fromElsewhere(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "config.json"))
	return err == nil
}

// importCommand is the command that makes a checkpoint of a model from elsewhere.
func importCommand(path string) string {
	name := filepath.Base(filepath.Clean(path))
	return shell.Command("model", "import", path, "-o", filepath.ToSlash(filepath.Join("models", strings.TrimSuffix(name, filepath.Ext(name)))))
}

// IsRun tells whether dir is the folder of a run: create writes config.toml
// first, clean removes it last.
func IsRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "config.toml"))
	return err == nil && !lostManifest(dir)
}
