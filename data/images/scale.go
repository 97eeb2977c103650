package images

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Scaling is how images are brought to the size of a model's. The zero value is that of source "image_folder".
type Scaling struct {
	Stretch bool   `json:"stretch,omitempty"` // both sides are scaled; else the shorter one, and the middle of the longer one kept
	Filter  string `json:"filter,omitempty"`  // one of Filters; "": bilinear
}

// Filters are those of [Scaling]: how target pixels are made of source pixels. They are as wide as the filters of that name in
// Pillow, and wider by as much as the image shrinks.
var Filters = []string{"bilinear", "bicubic", "lanczos"}

// Check reports a filter that does not exist.
func (s Scaling) Check() error {
	if s.Filter != "" && !slices.Contains(Filters, s.Filter) {
		return fmt.Errorf("data: filter %q of images is unknown; want one of %s", s.Filter, strings.Join(Filters, ", "))
	}
	return nil
}

// filter is the weight of a source pixel by its distance, and the distance from which on it is 0, in source pixels.
func (s Scaling) filter() (weight func(x float64) float64, reach float64) {
	switch s.Filter {
	case "bicubic": // Keys 1981 with a = -0.5
		return func(x float64) float64 {
			switch x = math.Abs(x); {
			case x < 1:
				return (1.5*x-2.5)*x*x + 1
			case x < 2:
				return ((-0.5*x+2.5)*x-4)*x + 2
			}
			return 0
		}, 2
	case "lanczos":
		sinc := func(x float64) float64 {
			if x == 0 {
				return 1
			}
			return math.Sin(math.Pi*x) / (math.Pi * x)
		}
		return func(x float64) float64 {
			if math.Abs(x) < 3 {
				return sinc(x) * sinc(x/3)
			}
			return 0
		}, 3
	}
	return func(x float64) float64 { return max(0, 1-math.Abs(x)) }, 1
}

// scale brings a plane of h x w to n x n. Rounding may differ by one from Pillow and from torchvision's Resize with antialias.
func (s Scaling) scale(dst, plane []uint8, h, w, n int) {
	scaledH, scaledW := n, n
	switch {
	case s.Stretch:
	case h > w:
		scaledH = n * h / w
	default:
		scaledW = n * w / h
	}
	columns := s.weights(w, scaledW, centre(scaledW, n), n)
	rows := s.weights(h, scaledH, centre(scaledH, n), n)
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

// weights returns those of n target pixels from first on, when in pixels are scaled to out.
func (s Scaling) weights(in, out, first, n int) []weights {
	weight, reach := s.filter()
	scale := float64(in) / float64(out)
	shrink := max(scale, 1)
	support := reach * shrink
	all := make([]weights, n)
	for i := range all {
		middle := (float64(first+i) + 0.5) * scale
		start, end := max(int(middle-support+0.5), 0), min(int(middle+support+0.5), in)
		one := weights{start: start}
		total := 0.0
		for x := start; x < end; x++ {
			w := weight((float64(x) + 0.5 - middle) / shrink)
			one.w = append(one.w, w)
			total += w
		}
		for j := range one.w {
			one.w[j] /= total
		}
		all[i] = one
	}
	return all
}
