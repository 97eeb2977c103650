package images

import (
	"math"

	"sparrow/internal/rng"
)

// Shapes: C channels, H rows, W columns. What a network takes is [H*W, C], a pixel a row.

// augmenter varies images: what becomes of one is a function of (seed, epoch, index), but for its partner in a mixture.
type augmenter struct {
	cfg  AugmentConfig
	norm Normalisation
	x    *Images

	planes []float64 // scratch, [C, H, W], 0 to 1
}

func newAugmenter(cfg AugmentConfig, norm Normalisation, x *Images) *augmenter {
	return &augmenter{cfg: cfg, norm: norm, x: x, planes: make([]float64, x.Channels*x.Height*x.Width)}
}

// Weights of red, green and blue in brightness (ITU-R BT.601).
var luma = [3]float64{0.299, 0.587, 0.114}

// put writes a variant of image i as a network takes it. Draws come in a fixed number and order, so that one choice does not
// change the others.
func (a *augmenter) put(dst []float32, i int, r *rng.Source) {
	pixels, _ := a.x.At(i)
	c, h, w := a.x.Channels, a.x.Height, a.x.Width
	pad := a.cfg.CropPadding
	top, left := r.Intn(2*pad+1)-pad, r.Intn(2*pad+1)-pad
	flip := r.Float64() < 0.5 && a.cfg.Flip
	for ch := range c {
		for y := range h {
			line := a.planes[(ch*h+y)*w : (ch*h+y+1)*w]
			for x := range w {
				from := x
				if flip {
					from = w - 1 - x
				}
				sy, sx := y+top, from+left
				line[x] = 0
				if sy >= 0 && sy < h && sx >= 0 && sx < w {
					line[x] = float64(pixels[(ch*h+sy)*w+sx]) / 255
				}
			}
		}
	}
	a.jitter(r)
	a.normalise(dst)
	a.erase(dst, r)
}

// jitter multiplies brightness, contrast (about the mean) and saturation (about each pixel's grey) by random factors, in this
// order, and keeps values from 0 to 1, as torchvision's ColorJitter.
func (a *augmenter) jitter(r *rng.Source) {
	var factors [3]float64
	for i := range factors {
		factors[i] = 1 + a.cfg.Jitter*(2*r.Float64()-1)
	}
	if a.cfg.Jitter == 0 {
		return
	}
	plane := a.x.Height * a.x.Width
	grey := func(p int) float64 {
		if a.x.Channels != imageChannels {
			return a.planes[p]
		}
		return luma[0]*a.planes[p] + luma[1]*a.planes[plane+p] + luma[2]*a.planes[2*plane+p]
	}
	blend := func(factor float64, p int, toward float64) {
		for ch := range a.x.Channels {
			v := &a.planes[ch*plane+p]
			*v = min(max(factor**v+(1-factor)*toward, 0), 1)
		}
	}
	for p := range plane {
		blend(factors[0], p, 0)
	}
	var mean float64
	for p := range plane {
		mean += grey(p) / float64(plane)
	}
	for p := range plane {
		blend(factors[1], p, mean)
	}
	if a.x.Channels == imageChannels {
		for p := range plane {
			blend(factors[2], p, grey(p))
		}
	}
}

// normalise writes the planes as a network takes them.
func (a *augmenter) normalise(dst []float32) {
	c, plane := a.x.Channels, a.x.Height*a.x.Width
	for ch := range c {
		mean, scale := a.norm.Mean[ch], 1/a.norm.Std[ch]
		for p, v := range a.planes[ch*plane : (ch+1)*plane] {
			dst[p*c+ch] = float32((v - mean) * scale)
		}
	}
}

// The erased rectangle's share of the image and its height over its width, as in the paper.
const (
	eraseLow, eraseHigh = 0.02, 1.0 / 3
	eraseAspect         = 0.3 // to its inverse
)

// erase replaces a rectangle by normal noise.
func (a *augmenter) erase(dst []float32, r *rng.Source) {
	hit := r.Float64() < a.cfg.Erase
	share := eraseLow + (eraseHigh-eraseLow)*r.Float64()
	aspect := math.Exp(math.Log(eraseAspect) * (2*r.Float64() - 1))
	v, u := r.Float64(), r.Float64()
	if !hit {
		return
	}
	area := share * float64(a.x.Height*a.x.Width)
	h := min(max(int(math.Round(math.Sqrt(area*aspect))), 1), a.x.Height)
	w := min(max(int(math.Round(math.Sqrt(area/aspect))), 1), a.x.Width)
	top, left := int(v*float64(a.x.Height-h+1)), int(u*float64(a.x.Width-w+1))
	for y := top; y < top+h; y++ {
		at := (y*a.x.Width + left) * a.x.Channels
		rng.FillNormal(r, dst[at:at+w*a.x.Channels], 0, 1)
	}
}

// mixture is how an image is mixed with its partner.
type mixture struct {
	keep                     float64 // share of the label that stays
	top, left, bottom, right int     // of the rectangle that the partner gives; none: all pixels are mixed
	cut                      bool
}

// drawMixture decides how to mix an image of h by w pixels.
func (c AugmentConfig) drawMixture(h, w int, r *rng.Source) mixture {
	m := mixture{keep: 1, cut: c.CutMix > 0 && (c.Mixup == 0 || r.Float64() < 0.5)}
	if !m.cut {
		m.keep = beta(c.Mixup, r)
		return m
	}
	side := math.Sqrt(1 - beta(c.CutMix, r))
	high, wide := int(side*float64(h)), int(side*float64(w))
	y, x := r.Intn(h), r.Intn(w) // the middle; beyond the border it is cut off
	m.top, m.bottom = max(y-high/2, 0), min(y-high/2+high, h)
	m.left, m.right = max(x-wide/2, 0), min(x-wide/2+wide, w)
	m.keep = 1 - float64((m.bottom-m.top)*(m.right-m.left))/float64(h*w)
	return m
}

// apply mixes an image [H*W, C] of width w with its partner.
func (m mixture) apply(dst, image, partner []float32, w, channels int) {
	if !m.cut {
		for i := range dst {
			dst[i] = float32(m.keep)*image[i] + float32(1-m.keep)*partner[i]
		}
		return
	}
	copy(dst, image)
	for y := m.top; y < m.bottom; y++ {
		lo, hi := (y*w+m.left)*channels, (y*w+m.right)*channels
		copy(dst[lo:hi], partner[lo:hi])
	}
}

// beta draws from Beta(a, a), 0 < a: one gamma variate over the sum of two.
func beta(a float64, r *rng.Source) float64 {
	x, y := gamma(a, r), gamma(a, r)
	if x+y == 0 { // both underflowed, as they do for tiny a: all weight is on one side
		return math.Round(r.Float64())
	}
	return x / (x + y)
}

// gamma draws from Gamma(a, 1) (Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", 2000; section 6 for
// a < 1).
func gamma(a float64, r *rng.Source) float64 {
	if a < 1 {
		u := 1 - r.Float64() // in (0, 1]
		return gamma(a+1, r) * math.Pow(u, 1/a)
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	var z [1]float64
	for {
		rng.FillNormal(r, z[:], 0, 1)
		v := 1 + c*z[0]
		if v <= 0 {
			continue
		}
		v *= v * v
		u := 1 - r.Float64()
		if math.Log(u) < z[0]*z[0]/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
