package train

import (
	"fmt"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/saved"
	"sparrow/task"
)

// lock holds a run's folder. What else there is to do than to wait is said where somebody else holds it.
func lock(dir, otherwise string) (unlock func(), err error) {
	if unlock, err = checkpoints.Lock(dir); err != nil {
		err = fmt.Errorf("%w: %s is %w: wait until that has ended, %s", task.ErrUsage, dir, err, otherwise)
	}
	return unlock, err
}

// vacant refuses a folder that holds something.
func vacant(dir string, force bool) error {
	empty, err := checkpoints.Empty(dir, "config.toml")
	switch {
	case err != nil:
		return fmt.Errorf("%w: -o %s: %w", task.ErrUsage, dir, err)
	case empty:
		return nil
	case !saved.IsRun(dir):
		return fmt.Errorf("%w: %s is not empty and not a run: choose another folder with -o", task.ErrUsage, dir)
	case !force:
		return fmt.Errorf("%w: %s holds a run already: continue it by: %s; or replace it with --force, or choose another folder with -o", task.ErrUsage, dir, saved.ResumeCommand(dir))
	}
	return nil
}

// clean removes what an earlier run left in its folder, and nothing else.
func clean(dir string) error {
	events, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	for _, path := range append(events, filepath.Join(dir, "checkpoints"), filepath.Join(dir, "metrics.csv"),
		filepath.Join(dir, "log.jsonl"), filepath.Join(dir, "loss.svg"), filepath.Join(dir, "report.html"), filepath.Join(dir, "run.json"), filepath.Join(dir, "config.toml")) {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// create writes the run's resolved config and run.json.
func (t *Trainer) create() error {
	text, err := configs.Encode(t.cfg)
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(filepath.Join(t.dir, "config.toml"), text); err != nil {
		return err
	}
	return t.record(text)
}
