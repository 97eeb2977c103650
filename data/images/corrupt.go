package images

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"

	"sparrow/data"
	"sparrow/internal/rng"
)

// Corruptions are the ways to spoil images that robustness is measured by, in the manner of Hendrycks and Dietterich,
// "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (2019). Each has severities 1 to 5:
//
//	noise       normal, of deviation 0.08 to 0.38 where white is 1
//	blur        by a normal kernel of deviation side/80 to side/32
//	contrast    differences to the mean times 0.4 to 0.05
//	brightness  plus 0.1 to 0.5
//	pixelate    to 0.6 to 0.25 of the side and back
//	jpeg        of quality 25 to 7
//	rotation    by 10 to 50 degrees to one side or the other, over black
//	occlusion   a grey square over 0.05 to 0.4 of the image
//
// The first four and jpeg have the values of that paper's ImageNet-C, blur those of its CIFAR-10-C as shares of the side.
var Corruptions = []string{"noise", "blur", "contrast", "brightness", "pixelate", "jpeg", "rotation", "occlusion"}

// Severities is how many strengths a corruption has.
const Severities = 5

// strengths are the numbers behind the severities.
var strengths = map[string][Severities]float64{
	"noise":      {.08, .12, .18, .26, .38},
	"blur":       {.4 / 32, .6 / 32, .7 / 32, .8 / 32, 1. / 32},
	"contrast":   {.4, .3, .2, .1, .05},
	"brightness": {.1, .2, .3, .4, .5},
	"pixelate":   {.6, .5, .4, .3, .25},
	"jpeg":       {25, 18, 15, 10, 7},
	"rotation":   {10, 20, 30, 40, 50},
	"occlusion":  {.05, .1, .2, .3, .4},
}

// Corruption spoils images. What becomes of an image is a function of the seed and its index.
type Corruption struct {
	name     string
	severity int
	strength float64
	seed     uint64
}

// NewCorruption is the corruption of that name, one of Corruptions, at a severity from 1 to Severities.
func NewCorruption(name string, severity int, seed uint64) (*Corruption, error) {
	s, ok := strengths[name]
	if !ok || severity < 1 || severity > Severities {
		return nil, fmt.Errorf("data: corruption %q of severity %d; want one of %s and 1 to %d", name, severity, data.Quoted(Corruptions), Severities)
	}
	return &Corruption{name: name, severity: severity, strength: s[severity-1], seed: seed}, nil
}

// planes is an image under work: [C, H, W] from 0 to 1.
type planes struct {
	v       []float64
	c, h, w int
}

func (p planes) plane(c int) []float64 { return p.v[c*p.h*p.w : (c+1)*p.h*p.w] }

// apply writes image index of x, pixels, spoilt to dst.
func (k *Corruption) apply(dst, pixels []uint8, x *Images, index int) error {
	r := rng.New(k.seed, fmt.Sprintf("data/corrupt/%s/%d", k.name, k.severity), uint64(index))
	p := planes{make([]float64, len(pixels)), x.Channels, x.Height, x.Width}
	for i, v := range pixels {
		p.v[i] = float64(v) / 255
	}
	switch k.name {
	case "noise":
		noise := make([]float64, len(p.v))
		rng.FillNormal(r, noise, 0, k.strength)
		for i := range p.v {
			p.v[i] += noise[i]
		}
	case "blur":
		p.blur(k.strength * float64(min(p.h, p.w)))
	case "contrast":
		for c := range p.c {
			m := average(p.plane(c))
			for i, v := range p.plane(c) {
				p.plane(c)[i] = m + (v-m)*k.strength
			}
		}
	case "brightness":
		for i := range p.v {
			p.v[i] += k.strength
		}
	case "pixelate":
		p.pixelate(k.strength)
	case "jpeg":
		if err := p.jpeg(int(k.strength)); err != nil {
			return fmt.Errorf("data: image %d: %w", index, err)
		}
	case "rotation":
		angle := k.strength * math.Pi / 180
		if r.Float64() < 0.5 {
			angle = -angle
		}
		p.rotate(angle)
	case "occlusion":
		p.occlude(k.strength, r)
	}
	for i, v := range p.v {
		dst[i] = toByte(v)
	}
	return nil
}

func toByte(v float64) uint8 { return uint8(min(max(math.Round(v*255), 0), 255)) }

func average(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// blur convolves rows, then columns with a normal kernel cut at three deviations; beyond the border stands the border.
func (p planes) blur(sigma float64) {
	reach := int(math.Ceil(3 * sigma))
	kernel := make([]float64, 2*reach+1)
	var sum float64
	for i := range kernel {
		kernel[i] = math.Exp(-math.Pow(float64(i-reach)/sigma, 2) / 2)
		sum += kernel[i]
	}
	line := make([]float64, max(p.h, p.w))
	along := func(plane []float64, start, stride, n int) {
		for i := range n {
			line[i] = 0
			for j, weight := range kernel {
				at := min(max(i+j-reach, 0), n-1)
				line[i] += weight / sum * plane[start+at*stride]
			}
		}
		for i := range n {
			plane[start+i*stride] = line[i]
		}
	}
	for c := range p.c {
		for y := range p.h {
			along(p.plane(c), y*p.w, 1, p.w)
		}
		for x := range p.w {
			along(p.plane(c), x, p.w, p.h)
		}
	}
}

// pixelate makes every pixel the mean of a block; share is that of the side that the blocks are.
func (p planes) pixelate(share float64) {
	rows, columns := max(int(float64(p.h)*share), 1), max(int(float64(p.w)*share), 1)
	for c := range p.c {
		plane := p.plane(c)
		for i := range rows {
			for j := range columns {
				var sum float64
				top, bottom, left, right := i*p.h/rows, (i+1)*p.h/rows, j*p.w/columns, (j+1)*p.w/columns
				for y := top; y < bottom; y++ {
					for x := left; x < right; x++ {
						sum += plane[y*p.w+x]
					}
				}
				for y := top; y < bottom; y++ {
					for x := left; x < right; x++ {
						plane[y*p.w+x] = sum / float64((bottom-top)*(right-left))
					}
				}
			}
		}
	}
}

// jpeg compresses and decompresses.
func (p planes) jpeg(quality int) error {
	src := image.NewRGBA(image.Rect(0, 0, p.w, p.h))
	for y := range p.h {
		for x := range p.w {
			var v [imageChannels]uint8
			for c := range v {
				v[c] = toByte(p.plane(c % p.c)[y*p.w+x]) // gray as three equal ones
			}
			src.SetRGBA(x, y, color.RGBA{v[0], v[1], v[2], 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, src, &jpeg.Options{Quality: quality}); err != nil {
		return err
	}
	out, err := jpeg.Decode(&b)
	if err != nil {
		return err
	}
	for y := range p.h {
		for x := range p.w {
			r, g, b, _ := out.At(x, y).RGBA()
			for c, v := range []uint32{r, g, b}[:p.c] {
				p.plane(c)[y*p.w+x] = float64(v) / 0xffff
			}
		}
	}
	return nil
}

// rotate turns the image about its middle, with bilinear interpolation.
func (p planes) rotate(angle float64) {
	sin, cos := math.Sincos(angle)
	my, mx := float64(p.h-1)/2, float64(p.w-1)/2
	for c := range p.c {
		src := append([]float64(nil), p.plane(c)...)
		at := func(y, x int) float64 {
			if y < 0 || y >= p.h || x < 0 || x >= p.w {
				return 0
			}
			return src[y*p.w+x]
		}
		for y := range p.h {
			for x := range p.w {
				dy, dx := float64(y)-my, float64(x)-mx
				sy, sx := my+cos*dy+sin*dx, mx-sin*dy+cos*dx
				fy, fx := math.Floor(sy), math.Floor(sx)
				v, u := sy-fy, sx-fx
				i, j := int(fy), int(fx)
				p.plane(c)[y*p.w+x] = (1-v)*((1-u)*at(i, j)+u*at(i, j+1)) + v*((1-u)*at(i+1, j)+u*at(i+1, j+1))
			}
		}
	}
}

// occlude puts a grey square at a random place.
func (p planes) occlude(share float64, r *rng.Source) {
	side := min(max(int(math.Round(math.Sqrt(share*float64(p.h*p.w)))), 1), p.h, p.w)
	top, left := r.Intn(p.h-side+1), r.Intn(p.w-side+1)
	for c := range p.c {
		for y := top; y < top+side; y++ {
			for x := left; x < left+side; x++ {
				p.plane(c)[y*p.w+x] = 0.5
			}
		}
	}
}
