package train

import (
	"sparrow/data"
	"sparrow/model"
)

// PredictImages labels PNG or JPEG files, brought to the size of the model's images. A model that does not label images is an
// error that matches ErrUsage; a file that cannot be read is an error.
func (l *Loaded) PredictImages(paths []string) ([]Prediction, error) {
	if l.Images == nil {
		return nil, l.readsText()
	}
	var out []Prediction
	dims := l.Session.Dims()
	for len(paths) > 0 {
		n := min(predictBatch, len(paths))
		rows := predictBatch
		if n == 1 {
			rows = 1
		}
		program, err := l.Session.Score(rows, dims.Context)
		if err != nil {
			return nil, err
		}
		size := dims.Context * dims.Channels
		x := model.Images{Pixels: make([]float32, rows*size), Labels: make([]int, rows)}
		for i := range rows {
			x.Labels[i] = data.IgnoredTarget
		}
		for i, path := range paths[:n] {
			pixels, err := data.ReadImage(path, l.Images.Side, l.Images.Channels)
			if err != nil {
				return nil, err
			}
			l.Images.Put(x.Pixels[i*size:(i+1)*size], pixels)
		}
		program.FeedImages(x)
		if err := program.Run(); err != nil {
			return nil, err
		}
		logits := program.Logits()
		for i, path := range paths[:n] {
			p := Prediction{Text: path}
			p.choose(l.Labels, logits[i*dims.Classes:(i+1)*dims.Classes])
			out = append(out, p)
		}
		paths = paths[n:]
	}
	return out, nil
}

// readsText refuses a model of text for what is done with images.
func (l *Loaded) readsText() error {
	return Refusef("%s holds a model of text, which looks at no images; want kind = \"favit\"", l.Dir)
}
