package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// StepDir is the folder of a run's checkpoint: RUN/checkpoints/step-000200.
func StepDir(runDir string, step int) string {
	return filepath.Join(runDir, "checkpoints", stepName(step))
}

func stepName(step int) string { return fmt.Sprintf("step-%06d", step) }

// stepOf reads the step from a folder name that stepName gives.
func stepOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.Atoi(digits)
	return step, ok && err == nil && step >= 0 && stepName(step) == name
}

// List returns the folders of a run's complete checkpoints by step, ascending: those whose manifest is sound and whose
// files are there in their sizes. Leftovers of interrupted writes are skipped; a folder of another format version is
// listed, so that [Open] can say what it is. A run without checkpoints has none and no error.
func List(runDir string) ([]string, error) {
	if _, err := os.Stat(runDir); err != nil {
		return nil, failf(err, "%s: %s: want the folder of a run", runDir, reason(err))
	}
	return listSteps(filepath.Join(runDir, "checkpoints"))
}

func listSteps(parent string) ([]string, error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failf(err, "%s: %s", parent, reason(err))
	}
	steps := make([]int, 0, len(entries))
	for _, e := range entries {
		step, ok := stepOf(e.Name())
		if !ok {
			continue
		}
		if _, err := readManifest(filepath.Join(parent, e.Name())); err == nil || errors.Is(err, errVersion) {
			steps = append(steps, step)
		}
	}
	sort.Ints(steps)
	dirs := make([]string, len(steps))
	for i, step := range steps {
		dirs[i] = filepath.Join(parent, stepName(step))
	}
	return dirs, nil
}

// older returns the name of the newest complete checkpoint beside dir that is older than it.
func older(dir string) (string, bool) {
	step, ok := stepOf(filepath.Base(dir))
	if !ok {
		return "", false
	}
	dirs, err := listSteps(filepath.Dir(dir))
	if err != nil {
		return "", false
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if n, _ := stepOf(filepath.Base(dirs[i])); n < step {
			return filepath.Base(dirs[i]), true
		}
	}
	return "", false
}

// Prune deletes a run's checkpoints except the newest keep (at least 1) and the protected ones, which are named by
// path or by folder name (the best one, say). A kill leaves each either complete or no checkpoint.
func Prune(runDir string, keep int, protect ...string) error {
	if keep < 1 {
		return failf(nil, "%s: keep %d checkpoints; want at least 1", runDir, keep)
	}
	dirs, err := List(runDir)
	if err != nil || len(dirs) <= keep {
		return err
	}
	kept := make(map[string]bool, len(protect))
	for _, p := range protect {
		kept[filepath.Base(p)] = true
	}
	for _, dir := range dirs[:len(dirs)-keep] {
		base := filepath.Base(dir)
		if kept[base] {
			continue
		}
		// Renamed first, because a folder is not deleted in one step.
		garbage := filepath.Join(filepath.Dir(dir), tempPrefix+base)
		err := os.RemoveAll(garbage)
		if err == nil {
			err = os.Rename(dir, garbage)
		}
		if err == nil {
			err = os.RemoveAll(garbage)
		}
		if err != nil {
			return failf(err, "%s: %s: the checkpoint could not be deleted", dir, reason(err))
		}
	}
	return syncDir(filepath.Join(runDir, "checkpoints"))
}
