package train

import (
	"context"

	"sparrow/data"
)

// Robustness is how a classifier of images fares on spoilt ones.
type Robustness struct {
	Clean       Score
	Corruptions []CorruptionAccuracy // in the order of data.Corruptions
	Mean        float64              // accuracy over all corruptions and severities
}

// CorruptionAccuracy is the accuracy under one corruption.
type CorruptionAccuracy struct {
	Name       string
	Severities [data.Severities]float64 // from the mildest
	Mean       float64
}

// EvaluateCorruptions measures the model on a part of the images of cfg, then on the same spoilt in each way and severity, all
// of it a function of the seed of the model's config. What the data does not have, and a model of text, is an error that
// matches ErrUsage. after is as for [Evaluate], over all batches of all measurements.
func (l *Loaded) EvaluateCorruptions(ctx context.Context, cfg Config, part Part, after func(done, total int, loss float64)) (Robustness, error) {
	if l.Images == nil {
		return Robustness{}, l.readsText()
	}
	x, err := l.images(ctx, cfg, part)
	if err != nil {
		return Robustness{}, refusal{err}
	}
	passes := 0
	measure := func(k *data.Corruption) (Score, error) {
		set := data.ImageBatches(x, l.Images.Normalisation, cfg.Train.BatchSize, cfg.Eval.Examples, k)
		before, all := passes*set.Batches(), (1+len(data.Corruptions)*data.Severities)*set.Batches()
		passes++
		return EvaluateImages(ctx, l.Session, set, cfg.Train.BatchSize, func(done, _ int, loss float64) {
			if after != nil {
				after(before+done, all, loss)
			}
		})
	}
	var r Robustness
	if r.Clean, err = measure(nil); err != nil {
		return r, err
	}
	for _, name := range data.Corruptions {
		c := CorruptionAccuracy{Name: name}
		for i := range c.Severities {
			k, err := data.NewCorruption(name, i+1, l.Config.Seed)
			if err != nil {
				return r, err
			}
			score, err := measure(k)
			if err != nil {
				return r, err
			}
			c.Severities[i] = score.Accuracy
			c.Mean += score.Accuracy / data.Severities
		}
		r.Corruptions = append(r.Corruptions, c)
		r.Mean += c.Mean / float64(len(data.Corruptions))
	}
	return r, nil
}
