package train

import (
	"context"

	imagedata "sparrow/data/images"
	"sparrow/model"
)

// Robustness is how a classifier of images fares on spoilt ones.
type Robustness struct {
	Clean       Score
	Corruptions []CorruptionAccuracy // in the order of imagedata.Corruptions
	Mean        float64              // accuracy over all corruptions and severities
}

// CorruptionAccuracy is the accuracy under one corruption.
type CorruptionAccuracy struct {
	Name       string
	Severities [imagedata.Severities]float64 // from the mildest
	Mean       float64
}

// Robustness implements Spoiler: it measures the network on a part of the images, then on the same spoilt in each way and
// severity, all of it a function of the config's seed. m.After is told of all batches of all measurements.
func (t *images) Robustness(ctx context.Context, s *model.Session, m Measure) (Robustness, error) {
	passes := 0
	measure := func(spoilt *imagedata.Corruption) (Score, float64, error) {
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
	var r Robustness
	var err error
	if r.Clean, _, err = measure(nil); err != nil {
		return r, err
	}
	for _, name := range imagedata.Corruptions {
		c := CorruptionAccuracy{Name: name}
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
