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
// files are there in their sizes. Leftovers of interrupted writes are skipped, as is what [Scan] calls damaged; a folder
// of another format version is listed, so that [Open] can say what it is. A run without checkpoints has none and no error.
func List(runDir string) ([]string, error) {
	sound, _, err := Scan(runDir)
	return sound, err
}

// Damage is a folder with the name of a run's checkpoint that is none.
type Damage struct {
	Dir string
	Err error // what is wrong, beginning with the path of the file
}

// Scan is [List] that also returns the damaged checkpoints by step, ascending. A write that was interrupted leaves none:
// something else has spoilt them.
func Scan(runDir string) (sound []string, damaged []Damage, err error) {
	if _, err := os.Stat(runDir); err != nil {
		return nil, nil, failf(err, "%s: %s: want the folder of a run", runDir, reason(err))
	}
	return scanSteps(filepath.Join(runDir, "checkpoints"))
}

func scanSteps(parent string) (sound []string, damaged []Damage, err error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, failf(err, "%s: %s", parent, reason(err))
	}
	var steps []int
	for _, e := range entries {
		if step, ok := stepOf(e.Name()); ok {
			steps = append(steps, step)
		}
	}
	sort.Ints(steps)
	for _, step := range steps {
		dir := filepath.Join(parent, stepName(step))
		_, err := readManifest(place{dir: dir})
		if err == nil || errors.Is(err, errVersion) {
			sound = append(sound, dir)
		} else if _, gone := os.Lstat(dir); gone == nil { // else a run has pruned it meanwhile
			damaged = append(damaged, Damage{dir, err})
		}
	}
	return sound, damaged, nil
}

// SetAside moves a damaged checkpoint out of the way of the next one of its step and returns where it is then:
// step-000200.damaged beside it, or with a number behind that where there is one already. Nothing reads or deletes it there.
func SetAside(dir string) (string, error) {
	aside := dir + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.damaged-%d", dir, n)
	}
	if err := os.Rename(dir, aside); err != nil {
		return "", failf(err, "%s: %s: the damaged checkpoint could not be moved aside", dir, reason(err))
	}
	return aside, syncDir(filepath.Dir(dir))
}

// older returns the name of the newest complete checkpoint beside dir that is older than it.
func older(dir string) (string, bool) {
	step, ok := stepOf(filepath.Base(dir))
	if !ok {
		return "", false
	}
	dirs, _, err := scanSteps(filepath.Dir(dir))
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

// Prune deletes a run's complete checkpoints except the newest keep (at least 1) and the protected ones, which are named by
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
