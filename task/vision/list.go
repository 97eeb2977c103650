package vision

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"

	"sparrow/task"
)

// List implements Lister: truth is a column of source "image_list", or "folder" of source "image_folder".
func (t *Task) List(ctx context.Context, truth string) ([]task.Listed, error) {
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	from, _ := t.cfg.Data.Images()
	list, err := t.data.List(from, truth)
	if err != nil {
		return nil, task.Refuse(err)
	}
	all := make([]task.Listed, len(list))
	for i, x := range list {
		file, err := t.encode(x.Pixels)
		if err != nil {
			return nil, err
		}
		all[i] = task.Listed{Image: file, Name: x.Name, Label: x.Label, Truth: x.Truth, Held: x.Held}
	}
	return all, nil
}

// encode writes the pixels [C, H, W] of the network's size as a PNG file.
func (t *Task) encode(pixels []uint8) ([]byte, error) {
	side, plane := t.format.Side, t.pixels()
	var picture image.Image
	if t.format.Channels == 1 {
		grey := image.NewGray(image.Rect(0, 0, side, side))
		copy(grey.Pix, pixels)
		picture = grey
	} else {
		rgb := image.NewRGBA(image.Rect(0, 0, side, side))
		for i := range plane {
			rgb.SetRGBA(i%side, i/side, color.RGBA{pixels[i], pixels[plane+i], pixels[2*plane+i], 255})
		}
		picture = rgb
	}
	var b bytes.Buffer
	err := png.Encode(&b, picture)
	return b.Bytes(), err
}
