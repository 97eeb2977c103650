package cubes

import (
	"math"

	"sparrow/internal/rng"
)

// Scene says which cube Synthetic makes.
type Scene struct {
	Height, Width, Bands int
	Materials            int // and so the rank
	Seed                 uint64
}

// Synthetic makes a cube of mixtures: each material has a smooth spectrum of 0.05 to 0.95, and a share in each pixel that follows a map
// with patches, edges and texture. Shares of a pixel sum to one, so the cube has as many components as materials. Equal scenes
// give equal values.
func Synthetic(s Scene) *Cube {
	spectra := make([][]float64, s.Materials)
	for m := range spectra {
		r := rng.New(s.Seed, "cubes/spectrum", uint64(m)<<32)
		line := make([]float64, s.Bands)
		slope := 2*r.Float64() - 1 // so that no stretch of a spectrum is flat
		for b := range line {
			line[b] = slope * float64(b) / float64(s.Bands)
		}
		for range 4 {
			u := r.Float64()
			centre, width, height := u*float64(s.Bands), float64(s.Bands)*(0.04+0.3*r.Float64()), r.Float64()
			for b := range line {
				d := (float64(b) - centre) / width
				line[b] += height * math.Exp(-d*d)
			}
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, v := range line {
			low, high = min(low, v), max(high, v)
		}
		for b, v := range line {
			line[b] = 0.05 + 0.9*(v-low)/max(high-low, 1e-9)
		}
		spectra[m] = line
	}
	maps := make([][]float64, s.Materials)
	for m := range maps {
		maps[m] = texture(s, uint64(m))
	}
	c := New(s.Height, s.Width, s.Bands)
	share := make([]float64, s.Materials)
	for p := range c.Pixels() {
		sum := 0.0
		for m := range share {
			share[m] = math.Exp(4 * maps[m][p])
			sum += share[m]
		}
		row := c.Data[p*s.Bands : (p+1)*s.Bands]
		for m, line := range spectra {
			for b, v := range line {
				row[b] += share[m] / sum * v
			}
		}
	}
	return c
}

// texture is a map of about -1 to 1: waves of all lengths, of which the longer ones are stronger, and rectangles, such as roofs and
// fields.
func texture(s Scene, index uint64) []float64 {
	r := rng.New(s.Seed, "cubes/texture", index<<32)
	plane := make([]float64, s.Height*s.Width)
	side := float64(max(s.Height, s.Width))
	for octave := range 5 {
		scale := math.Pow(2, float64(octave))
		for range 4 {
			angle, phase := 2*math.Pi*r.Float64(), 2*math.Pi*r.Float64()
			fy, fx := math.Sin(angle)*scale*2*math.Pi/side, math.Cos(angle)*scale*2*math.Pi/side
			for y := range s.Height {
				for x := range s.Width {
					plane[y*s.Width+x] += 0.25 / math.Sqrt(scale) * math.Sin(fy*float64(y)+fx*float64(x)+phase)
				}
			}
		}
	}
	for range 12 {
		top, left := r.Intn(s.Height), r.Intn(s.Width)
		tall, wide := 1+r.Intn(max(s.Height/4, 1)), 1+r.Intn(max(s.Width/4, 1))
		level := 2*r.Float64() - 1
		for y := top; y < min(top+tall, s.Height); y++ {
			for x := left; x < min(left+wide, s.Width); x++ {
				plane[y*s.Width+x] += level
			}
		}
	}
	return plane
}
