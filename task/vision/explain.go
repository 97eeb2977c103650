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
	"sparrow/model/vit"
	"sparrow/task"
)

// Explain implements Explainer: it looks at an image as the model does. The first row is the image as the model takes it and the
// size of the gradient of the loss of the predicted class by each pixel. A FaViT adds the effective receptive field of the middle of
// the last stage's map (see [favit.Explanation]) and, in a row for each stage, the attention of its last block, by groups; a vision
// transformer what of each patch reaches the class token, and what the class token reads in each block (see [vit.Explanation]).
// Each panel of values names what its colours span.
func (t *Task) Explain(_ context.Context, s *model.Session, in task.Input) (*task.Picture, error) {
	body := t.cfg.Model.Body()
	switch body.(type) {
	case favit.Body, vit.Body:
	default:
		return nil, task.Refusef("what a network of kind = %q sees is not drawn; want kind = \"favit\" or \"vit\"", t.cfg.Model.Name)
	}
	pixels, err := t.decode(in)
	if err != nil {
		return nil, err
	}
	normal := make([]float32, len(pixels))
	t.format.Put(normal, pixels)
	n, o := s.Network().(model.Images), model.Options{Linear: t.cfg.Model.Linear}
	if v, ok := body.(vit.Body); ok {
		x, err := vit.Explain(n, s.Store(), o, normal)
		if err != nil {
			return nil, err
		}
		p, err := t.picture(pixels, x.Logits, x.Gradient)
		if err != nil {
			return nil, err
		}
		side := t.format.Side / v.Patch
		first := &p.Rows[0]
		first.Panels = append(first.Panels,
			p.Heat("attention through blocks", side, x.Rollout), p.Overlay("over the image", side, x.Rollout, first.Panels[0].Image))
		const across = 4 // panels
		for from := 0; from < len(x.Attention); from += across {
			row := task.PanelRow{Name: "attention of the class token"}
			for l := from; l < min(from+across, len(x.Attention)); l++ {
				row.Panels = append(row.Panels, p.Heat(fmt.Sprintf("block %d", l+1), side, x.Attention[l]))
			}
			p.Rows = append(p.Rows, row)
		}
		return p, nil
	}
	x, err := favit.Explain(n, s.Store(), o, normal)
	if err != nil {
		return nil, err
	}
	p, err := t.picture(pixels, x.Logits, x.Gradient, x.Field)
	if err != nil {
		return nil, err
	}
	for _, a := range x.Attention {
		if name := fmt.Sprintf("attention of stage %d", a.Stage); p.Rows[len(p.Rows)-1].Name != name {
			p.Rows = append(p.Rows, task.PanelRow{Name: name})
		}
		row := &p.Rows[len(p.Rows)-1]
		name := fmt.Sprintf("%s %dx%d", a.Group, a.Height, a.Width)
		row.Panels = append(row.Panels, p.Heat(name, a.Height, a.Weights))
		if a.Whole {
			row.Panels = append(row.Panels, p.Overlay(a.Group+" over image", a.Height, a.Weights, p.Rows[0].Panels[0].Image))
		}
	}
	return p, nil
}

// picture has the row of pixels: the image, and gradients by its pixels.
func (t *Task) picture(pixels []byte, logits []float64, gradients ...[]float64) (*task.Picture, error) {
	f := t.format
	predicted, err := t.labels.Predict(logits)
	if err != nil {
		return nil, err
	}
	p := &task.Picture{Prediction: predicted, Side: f.Side * ((task.LeastPanel + f.Side - 1) / f.Side)}
	plane := f.Side * f.Side
	own := p.Panel(f.Side, func(i int) color.RGBA {
		return color.RGBA{pixels[i], pixels[i+(f.Channels/3)*plane], pixels[i+2*(f.Channels/3)*plane], 255}
	})
	panels := []task.Panel{{Name: "the image", Image: own}}
	for i, x := range gradients {
		if !kernel.AllFinite(x) {
			return nil, errors.New("the gradients of the network are no finite numbers: its weights are too large; use another checkpoint")
		}
		sizes := magnitude(x, f.Channels)
		panels = append(panels, p.Heat([]string{"gradient of the loss", "receptive field"}[i], f.Side, sizes))
		if i == 0 {
			panels = append(panels, p.Overlay("gradient over image", f.Side, sizes, own))
		}
	}
	p.Rows = []task.PanelRow{{Name: "pixels", Panels: panels}}
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
