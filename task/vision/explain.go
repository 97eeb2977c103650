package vision

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"math"

	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/favit"
	"sparrow/task"
)

// Explain implements Explainer: it looks at an image as the model does. The first row is the image as the model takes it, the
// size of the gradient of the loss of the predicted class by each pixel, and the effective receptive field of the middle of the
// last stage's map (see [favit.Explanation]); a row for each stage has the attention of its last block, by groups. Each panel
// goes from dark (0) to bright (its largest value).
func (t *Task) Explain(_ context.Context, s *model.Session, in task.Input) (*task.Picture, error) {
	if _, ok := t.cfg.Model.Body().(favit.Body); !ok {
		return nil, task.Refusef("what a network of kind = %q sees is not drawn; want kind = \"favit\"", t.cfg.Model.Name)
	}
	f := t.format
	pixels, err := t.decode(in)
	if err != nil {
		return nil, err
	}
	normal := make([]float32, len(pixels))
	f.Put(normal, pixels)
	x, err := favit.Explain(s.Network().(model.Images), s.Store(), model.Options{Linear: t.cfg.Model.Linear}, normal)
	if err != nil {
		return nil, err
	}
	predicted, err := t.labels.Predict(x.Logits)
	if err != nil {
		return nil, err
	}
	if !kernel.AllFinite(x.Gradient) || !kernel.AllFinite(x.Field) {
		return nil, errors.New("the gradients of the network are no finite numbers: its weights are too large; use another checkpoint")
	}
	p := &task.Picture{Prediction: predicted, Side: f.Side * ((task.LeastPanel + f.Side - 1) / f.Side)}
	plane := f.Side * f.Side
	p.Rows = []task.PanelRow{{Name: "pixels", Panels: []task.Panel{
		{Name: "the image", Image: p.Panel(f.Side, func(i int) color.RGBA {
			return color.RGBA{pixels[i], pixels[i+(f.Channels/3)*plane], pixels[i+2*(f.Channels/3)*plane], 255}
		})},
		{Name: "gradient of the loss", Image: p.Heat(f.Side, magnitude(x.Gradient, f.Channels))},
		{Name: "effective receptive field", Image: p.Heat(f.Side, magnitude(x.Field, f.Channels))},
	}}}
	for _, a := range x.Attention {
		if name := fmt.Sprintf("attention of stage %d", a.Stage); p.Rows[len(p.Rows)-1].Name != name {
			p.Rows = append(p.Rows, task.PanelRow{Name: name})
		}
		row := &p.Rows[len(p.Rows)-1]
		row.Panels = append(row.Panels, task.Panel{Name: fmt.Sprintf("%s %dx%d", a.Group, a.Height, a.Width), Image: p.Heat(a.Height, a.Weights)})
	}
	return p, nil
}

// magnitude is the sum of the sizes of each pixel's values, [H*W, C] -> [H*W].
func magnitude(x []float64, channels int) []float64 {
	out := make([]float64, len(x)/channels)
	for i, v := range x {
		out[i/channels] += math.Abs(v)
	}
	return out
}
