package images

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // formats of image.Decode
	_ "image/png"
	"math"

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
func readImage(pixels []uint8, path string, size imageSize, scale bool) error {
	content, err := data.ReadFile(path)
	if err != nil {
		return err
	}
	return decodeImage(pixels, content, path, size, scale)
}

// decodeImage is readImage of a file that has been read; path is for messages.
func decodeImage(pixels []uint8, content []byte, path string, size imageSize, scale bool) error {
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
		scaleAndCrop(pixels[c*n*n:(c+1)*n*n], planes[c*h*w:(c+1)*h*w], h, w, n)
	}
	return nil
}

// scaleAndCrop brings a plane of h x w to n x n: the shorter side is scaled to n, and the middle of the longer one kept. The
// filter is a triangle as wide as two source pixels, or two target pixels where the image shrinks, as "bilinear" of Pillow and
// of torchvision's Resize with antialias; rounding may differ by one.
func scaleAndCrop(dst, plane []uint8, h, w, n int) {
	scaledH, scaledW := n, n
	if h > w {
		scaledH = n * h / w
	} else {
		scaledW = n * w / h
	}
	columns := triangleWeights(w, scaledW, centre(scaledW, n), n)
	rows := triangleWeights(h, scaledH, centre(scaledH, n), n)
	first, end := rows[0].start, rows[n-1].start+len(rows[n-1].w) // what is cut off may be most of a long image
	narrow := make([]uint8, (end-first)*n)                        // [end-first, n]
	for y := first; y < end; y++ {
		for x, c := range columns {
			narrow[(y-first)*n+x] = c.apply(plane[y*w:], 1)
		}
	}
	for x := range n {
		for y, r := range rows {
			r.start -= first
			dst[y*n+x] = r.apply(narrow[x:], n)
		}
	}
}

// centre returns where n of total pixels begin that have as many before as after them, rounded to even.
func centre(total, n int) int { return int(math.RoundToEven(float64(total-n) / 2)) }

// weights are those of the source pixels from start on for one target pixel.
type weights struct {
	start int
	w     []float64
}

func (s *weights) apply(line []uint8, stride int) uint8 {
	sum := 0.5 // rounds to the nearest
	for i, w := range s.w {
		sum += w * float64(line[(s.start+i)*stride])
	}
	return uint8(min(max(sum, 0), 255))
}

// triangleWeights returns the weights of n target pixels from first on, when in pixels are scaled to out.
func triangleWeights(in, out, first, n int) []weights {
	scale := float64(in) / float64(out)
	support := max(scale, 1)
	all := make([]weights, n)
	for i := range all {
		middle := (float64(first+i) + 0.5) * scale
		start, end := max(int(middle-support+0.5), 0), min(int(middle+support+0.5), in)
		s := weights{start: start}
		total := 0.0
		for x := start; x < end; x++ {
			w := max(0, 1-math.Abs((float64(x)+0.5-middle)/support))
			s.w = append(s.w, w)
			total += w
		}
		for j := range s.w {
			s.w[j] /= total
		}
		all[i] = s
	}
	return all
}
