package saved

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
)

// NewerThan returns the damaged checkpoints of a run that come after a sound one.
func NewerThan(damaged []checkpoints.Damage, dir string) []checkpoints.Damage {
	for i, d := range damaged {
		if newer(d.Dir, dir) {
			return damaged[i:]
		}
	}
	return nil
}

// newer compares two checkpoints of one run. A number of steps has six digits or more.
func newer(a, b string) bool {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) > 0
}

// damageOf is the error that says what is wrong with each.
func damageOf(damaged []checkpoints.Damage) error {
	errs := make([]error, len(damaged))
	for i, d := range damaged {
		errs[i] = fmt.Errorf("%s is damaged: %w", d.Dir, d.Err)
	}
	return errors.Join(errs...)
}

// AllDamaged returns the error of a run without a sound checkpoint that has damaged ones.
func AllDamaged(dir string, damaged []checkpoints.Damage) error {
	return fmt.Errorf("%w; %s has no other checkpoint: restore it from a copy, or begin anew with --force", damageOf(damaged), dir)
}

// lostManifest tells whether dir is a checkpoint but for its manifest. Such a folder has a config.toml, as a run has.
func lostManifest(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "model.npz"))
	return err == nil
}
