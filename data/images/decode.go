package images

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // formats of image.Decode
	_ "image/png"

	"sparrow/data"
)

// imageChannels is red, green and blue; gray images have three equal ones. Transparent pixels are over black.
const imageChannels = 3

// maxImagePixels bounds what one file may ask for.
const maxImagePixels = 1 << 27

// sizeOfImage reads the size of a file.
func sizeOfImage(path string) (imageSize, error) {
	content, err := data.ReadFile(path)
	if err != nil {
		return imageSize{}, err
	}
	return decodeSize(content, path)
}

func decodeSize(content []byte, path string) (imageSize, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(content))
	switch {
	case err != nil:
		return imageSize{}, fmt.Errorf("%s: %w, want PNG or JPEG", path, err)
	case config.Width < 1 || config.Height < 1 || config.Width > maxImagePixels/config.Height:
		return imageSize{}, fmt.Errorf("%s: %s of %d x %d pixels, want at least 1 and at most %d in all", path, format, config.Height, config.Width, maxImagePixels)
	}
	return imageSize{config.Height, config.Width, path}, nil
}

// readImage decodes a file into pixels [C, H, W], brought to size if scale says so.
func readImage(pixels []uint8, path string, size imageSize, scale bool, how Scaling) error {
	content, err := data.ReadFile(path)
	if err != nil {
		return err
	}
	return decodeImage(pixels, content, path, size, scale, how)
}

// decodeImage is readImage of a file that has been read; path is for messages.
func decodeImage(pixels []uint8, content []byte, path string, size imageSize, scale bool, how Scaling) error {
	own, err := decodeSize(content, path)
	if err != nil {
		return err
	}
	if !scale && (own.height != size.height || own.width != size.width) {
		return fmt.Errorf("%s: %d x %d pixels, but %s has %d x %d; set image_size", path, own.height, own.width, size.path, size.height, size.width)
	}
	decoded, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	bounds := decoded.Bounds()
	h, w := bounds.Dy(), bounds.Dx()
	rgba := image.NewRGBA(image.Rect(0, 0, w, h)) // black
	draw.Draw(rgba, rgba.Rect, decoded, bounds.Min, draw.Over)
	planes := make([]uint8, imageChannels*h*w) // [C, h, w]
	for i := range h * w {
		for c := range imageChannels {
			planes[c*h*w+i] = rgba.Pix[4*i+c]
		}
	}
	if h == size.height && w == size.width {
		copy(pixels, planes)
		return nil
	}
	n := size.height
	for c := range imageChannels {
		how.scale(pixels[c*n*n:(c+1)*n*n], planes[c*h*w:(c+1)*h*w], h, w, n)
	}
	return nil
}
