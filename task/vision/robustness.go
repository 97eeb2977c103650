package vision

import (
	"context"

	imagedata "sparrow/data/images"
	"sparrow/model"
	"sparrow/task"
)

// Robustness implements Spoiler: it measures the network on a part of the images, then on the same spoilt in each way and
// severity, all of it a function of the config's seed. m.After is told of all batches of all measurements.
func (t *Task) Robustness(ctx context.Context, s *model.Session, m task.Measure) (task.Robustness, error) {
	passes := 0
	measure := func(spoilt *imagedata.Corruption) (task.Score, float64, error) {
		part := m
		part.After = func(done, total int, loss float64) {
			if m.After != nil {
				m.After(passes*total+done, (1+len(imagedata.Corruptions)*imagedata.Severities)*total, loss)
			}
		}
		score, err := t.evaluate(ctx, s, part, spoilt)
		passes++
		accuracy, _ := score.Value("accuracy")
		return score, accuracy, err
	}
	var r task.Robustness
	var err error
	if r.Clean, _, err = measure(nil); err != nil {
		return r, err
	}
	for _, name := range imagedata.Corruptions {
		c := task.CorruptionAccuracy{Name: name, Severities: make([]float64, imagedata.Severities)}
		for i := range c.Severities {
			k, err := imagedata.NewCorruption(name, i+1, t.cfg.Seed)
			if err != nil {
				return r, err
			}
			_, accuracy, err := measure(k)
			if err != nil {
				return r, err
			}
			c.Severities[i] = accuracy
			c.Mean += accuracy / imagedata.Severities
		}
		r.Corruptions = append(r.Corruptions, c)
		r.Mean += c.Mean / float64(len(imagedata.Corruptions))
	}
	return r, nil
}
