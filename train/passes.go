package train

import (
	"errors"
	"math"

	"sparrow/configs"
)

// pass is how many steps look at each row of the training data once; 0: the task does not tell, or is solved.
func (t *Trainer) pass() int {
	if t.facts.Rows == 0 {
		return 0
	}
	if solved, err := solvedOf(t.task, t.cfg); err != nil || solved != nil {
		return 0
	}
	rows := t.cfg.Train.BatchSize * t.cfg.Train.GradAccum
	return (t.facts.Rows + rows - 1) / rows
}

// countSteps makes steps of [train] epochs, now that the data is read, so that the run's config says how many they are.
func (t *Trainer) countSteps() error {
	if t.cfg.Train.Epochs == nil {
		return nil
	}
	per := t.pass()
	if per == 0 {
		return errors.New("[train] epochs is for tasks that train by steps on data whose size is known; want steps")
	}
	steps := math.Ceil(*t.cfg.Train.Epochs * float64(per))
	if steps > math.MaxInt32 {
		return errors.New("[train] epochs makes more steps than a run may have; want fewer")
	}
	t.cfg.Train.Steps, t.cfg.Train.Epochs = int(steps), nil
	return configs.Validate("train.epochs", &t.cfg, t.known.Lists)
}
