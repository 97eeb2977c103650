package cubes

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"sparrow/factor"
)

// ErrFile is what a file that is no cube, or a damaged one, matches.
var ErrFile = errors.New("bad cube")

// maxValues bounds what a file may claim: 2 GiB of float64.
const maxValues = 1 << 28

// Cube is a picture of Height by Width pixels in Bands bands: value (y, x, b) is Data[(y*Width+x)*Bands+b].
type Cube struct {
	Height, Width, Bands int
	Data                 []float64

	// Wavelengths of the bands as the file has them, ascending; nil: it does not say.
	Wavelengths []float64
}

// New returns a cube of zeros.
func New(height, width, bands int) *Cube {
	return &Cube{Height: height, Width: width, Bands: bands, Data: make([]float64, height*width*bands)}
}

// Pixels is how many there are.
func (c *Cube) Pixels() int { return c.Height * c.Width }

// Matrix is the cube as a matrix [pixels, bands], in the same memory.
func (c *Cube) Matrix() *factor.Matrix {
	return &factor.Matrix{Rows: c.Pixels(), Cols: c.Bands, Data: c.Data}
}

// Clone returns a copy.
func (c *Cube) Clone() *Cube {
	d := *c
	d.Data = slices.Clone(c.Data)
	return &d
}

// Band returns a copy of band b, row by row.
func (c *Cube) Band(b int) []float64 {
	plane := make([]float64, c.Pixels())
	for i := range plane {
		plane[i] = c.Data[i*c.Bands+b]
	}
	return plane
}

// SetBand replaces band b.
func (c *Cube) SetBand(b int, plane []float64) {
	for i, v := range plane {
		c.Data[i*c.Bands+b] = v
	}
}

// Select returns a cube of the given bands alone.
func (c *Cube) Select(bands []int) *Cube {
	d := New(c.Height, c.Width, len(bands))
	for i := range c.Pixels() {
		row, own := c.Data[i*c.Bands:(i+1)*c.Bands], d.Data[i*d.Bands:]
		for k, b := range bands {
			own[k] = row[b]
		}
	}
	if c.Wavelengths != nil {
		for _, b := range bands {
			d.Wavelengths = append(d.Wavelengths, c.Wavelengths[b])
		}
	}
	return d
}

// Check says what no cube can have: no pixels, another number of values, or one that is no finite number, by band and place.
func (c *Cube) Check() error {
	if c.Height < 1 || c.Width < 1 || c.Bands < 1 || len(c.Data) != c.Height*c.Width*c.Bands {
		return fmt.Errorf("%w: got %d values for %d x %d pixels and %d bands, want as many, and at least one of each", ErrFile, len(c.Data), c.Height, c.Width, c.Bands)
	}
	for i, v := range c.Data {
		if v-v != 0 {
			p := i / c.Bands
			return fmt.Errorf("%w: band %d has %v at row %d, column %d; want finite numbers: leave the band out, or mask the pixel", ErrFile, i%c.Bands+1, v, p/c.Width+1, p%c.Width+1)
		}
	}
	return nil
}

// Constant lists the bands whose values are all equal: dead detectors, or absorption by water.
func (c *Cube) Constant() []int {
	var dead []int
	for b := range c.Bands {
		same := true
		for i := b; i < len(c.Data) && same; i += c.Bands {
			same = c.Data[i] == c.Data[b]
		}
		if same {
			dead = append(dead, b)
		}
	}
	return dead
}

// Range takes a value v of a file to (v - Low) / (High - Low).
type Range struct{ Low, High float64 }

// clippedShare is how much of a cube lies beyond each end of its range: glints and dropped pixels.
const clippedShare = 0.001

// RangeOf returns the range from the 0.1 to the 99.9 percentile of the whole cube. A cube that has one value alone gets a range of
// length 1 from it.
func RangeOf(c *Cube) Range {
	sorted := slices.Clone(c.Data)
	slices.Sort(sorted)
	r := Range{Quantile(sorted, clippedShare), Quantile(sorted, 1-clippedShare)}
	if !(r.High > r.Low) {
		r = Range{sorted[0], sorted[len(sorted)-1]}
	}
	if !(r.High > r.Low) {
		r.High = r.Low + 1
	}
	return r
}

// Quantile of values in ascending order, linear between neighbours, as numpy's.
func Quantile(sorted []float64, share float64) float64 {
	at := share * float64(len(sorted)-1)
	lo := int(at)
	if lo+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[lo] + (at-float64(lo))*(sorted[lo+1]-sorted[lo])
}

// Scaled returns the cube in units of the range; with clip, values beyond it become 0 or 1.
func (c *Cube) Scaled(r Range, clip bool) *Cube {
	d := c.Clone()
	for i, v := range d.Data {
		v = (v - r.Low) / (r.High - r.Low)
		if clip {
			v = min(max(v, 0), 1)
		}
		d.Data[i] = v
	}
	return d
}

// Unscaled is the inverse of Scaled, in place.
func (c *Cube) Unscaled(r Range) {
	for i, v := range c.Data {
		c.Data[i] = r.Low + v*(r.High-r.Low)
	}
}

// FalseColour returns three bands for red, green and blue: those nearest to 660, 550 and 470 nm where wavelengths are known (in
// micrometres or nanometres), else from half, a quarter and an eighth of the spectrum.
func (c *Cube) FalseColour() [3]int {
	if len(c.Wavelengths) != c.Bands {
		return [3]int{c.Bands / 2, c.Bands / 4, c.Bands / 8}
	}
	unit := 1.0
	if c.Wavelengths[c.Bands-1] < 100 {
		unit = 1000
	}
	var rgb [3]int
	for i, want := range [3]float64{660, 550, 470} {
		for b, w := range c.Wavelengths {
			if math.Abs(w*unit-want) < math.Abs(c.Wavelengths[rgb[i]]*unit-want) {
				rgb[i] = b
			}
		}
	}
	return rgb
}
