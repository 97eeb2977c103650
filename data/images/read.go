package images

import (
	"fmt"
	"io"
	"math"
)

// Decode reads a PNG or JPEG image for a model of images of side by side pixels, to which it is brought as how says. channels is
// 3, or 1 for the brightness of each pixel. The values are [C, H, W].
func Decode(r io.Reader, side, channels int, how Scaling) ([]uint8, error) {
	if side < 1 || channels != 1 && channels != imageChannels {
		return nil, fmt.Errorf("data: images of %d pixels and %d channels; want at least 1, and 1 or %d", side, channels, imageChannels)
	}
	plane := side * side
	pixels := make([]uint8, imageChannels*plane)
	content, err := io.ReadAll(r)
	if err == nil {
		err = decodeImage(pixels, content, "image", imageSize{side, side, ""}, true, how)
	}
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if channels == imageChannels {
		return pixels, nil
	}
	for i := range plane {
		var grey float64
		for c, weight := range luma {
			grey += weight * float64(pixels[c*plane+i])
		}
		pixels[i] = uint8(math.Round(grey))
	}
	return pixels[:plane], nil
}
