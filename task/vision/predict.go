package vision

import (
	"context"
	"errors"

	"sparrow/data"
	imagedata "sparrow/data/images"
	"sparrow/model"
	"sparrow/task"
)

// Reads implements Predictor.
func (t *Task) Reads() task.Form { return task.OneImage }

// Names implements Predictor.
func (t *Task) Names() []string { return t.labels.Names }

// Predict labels PNG or JPEG images, brought to the size of the model's.
func (t *Task) Predict(ctx context.Context, s *model.Session, in []task.Input) ([]task.Prediction, error) {
	var out []task.Prediction
	size, classes := t.pixels()*t.format.Channels, len(t.labels.Names)
	for len(out) < len(in) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some := in[len(out):min(len(out)+task.PredictBatch, len(in))]
		rows := task.PredictBatch
		if len(some) == 1 {
			rows = 1
		}
		program, err := s.Program(model.Score, t.shape(rows))
		if err != nil {
			return nil, err
		}
		x := &imagedata.Batch{Pixels: make([]float32, rows*size), Labels: make([]int, rows)}
		for i := range rows {
			x.Labels[i] = data.IgnoredTarget
		}
		for i, one := range some {
			pixels, err := t.decode(one)
			if err != nil {
				return nil, &task.InputError{Index: len(out) + i, Err: err}
			}
			t.format.Put(x.Pixels[i*size:(i+1)*size], pixels)
		}
		feedImages(program, x)
		if err := program.Run(); err != nil {
			return nil, err
		}
		logits := program.Output("logits").Float64s()
		for i := range some {
			one, err := t.labels.Predict(logits[i*classes : (i+1)*classes])
			if err != nil {
				return nil, &task.InputError{Index: len(out), Err: err}
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// decode reads an image in the model's size, [C, H, W].
func (t *Task) decode(in task.Input) ([]uint8, error) {
	if in.Image == nil {
		return nil, errors.New("no image; want a PNG or JPEG")
	}
	return imagedata.Decode(in.Image, t.format.Side, t.format.Channels, t.format.Scaling)
}
