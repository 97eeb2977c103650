package denoise

import (
	"context"

	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/task"
)

// enough is the noise beside which a picture is nothing: the signal's share is 1e-3 there.
const enough = 31

// Draw implements task.Drawer: from noise alone, the picture beneath is guessed again and again, and given less noise each time (DDIM,
// Song et al. 2021, without randomness after the start).
func (t *Task) Draw(ctx context.Context, s *model.Session, d task.Drawing) (task.Drawn, error) {
	if most := t.body.Sigma[1]; most < enough {
		return task.Drawn{}, task.Refusef("the network was trained on noise up to %g, and drawing begins with noise alone; want a run with [model.denoiser] sigma = [0.01, 80.0]", most)
	}
	if t.side == 0 {
		return task.Drawn{}, task.Refusef("the config does not tell how large pictures are; want [data] image_size")
	}
	if d.Steps < 1 || d.Steps > last {
		return task.Drawn{}, task.Refusef("%d steps; want 1 to %d", d.Steps, last)
	}
	levels, err := deviationsOf(d.Schedule, d.Steps)
	if err != nil {
		return task.Drawn{}, task.Refuse(err)
	}
	side := t.side
	y := make([]float64, side*side)
	rng.FillNormal(rng.New(d.Seed, "denoise/draw", 0), y, 0, 1)
	first := min(levels[0], t.body.Sigma[1])
	for i := range y {
		y[i] *= first
	}
	for i, sigma := range levels {
		if err := ctx.Err(); err != nil {
			return task.Drawn{}, err
		}
		sigma = min(max(sigma, t.body.Sigma[0]), t.body.Sigma[1])
		next := 0.0
		if i+1 < len(levels) {
			next = min(levels[i+1], t.body.Sigma[1])
		}
		noise, err := t.noise(s, y, side, side, sigma)
		if err != nil {
			return task.Drawn{}, err
		}
		for k, v := range y {
			clean := min(max(v-sigma*noise[k], -1), 1)
			y[k] = clean + next*(v-clean)/sigma
		}
	}
	own := side // images were mirrored to whole windows
	if from, ok := t.cfg.Data.Images(); ok {
		if n, _ := from.Shape(); n > 0 {
			own = n
		}
	}
	out := task.Drawn{Side: own, Values: make([]float64, own*own)}
	for i := range out.Values {
		out.Values[i] = (y[i/own*side+i%own] + 1) / 2
	}
	return out, nil
}
