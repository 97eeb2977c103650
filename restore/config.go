package restore

import (
	"errors"
	"fmt"
	"math"

	"sparrow/data/cubes"
)

// ErrConfig is what a config matches that cannot be carried out on its cube.
var ErrConfig = errors.New("bad restoration")

// Task is what is wrong with a cube.
type Task string

// Denoise: white noise in each band. Inpaint: noise, and values that are not known. Enlarge: noise, and pixels that are larger than
// those wanted, see [Blur].
const (
	Denoise Task = "denoise"
	Inpaint Task = "inpaint"
	Enlarge Task = "sr"
)

// Basis is what the pictures are that the prior sees.
type Basis string

// Eigen: scores of the whitened cube, whose noise has deviation 1. Bands: the paper's, as many bands as the rank, chosen by strong
// rank-revealing QR, of which the others are mixtures.
const (
	Eigen Basis = "eigen"
	Bands Basis = "bands"
)

// Config says how a cube is restored.
type Config struct {
	Task  Task
	Basis Basis     // "": Eigen
	Sigma []float64 // noise of each band in units of the cube, or one for all; nil: it is estimated
	Rank  int       // components; 0: as many as stand out of the noise
	Prior Prior     // nil: None
	Known []bool    // of each value of the cube, or of each pixel: Inpaint
	Scale int       // pixels a side that become of one: Enlarge
	Steps int       // of plug-and-play, for Inpaint and Enlarge; 0: 6
}

// coefficientBound is f of the strong rank-revealing QR that chooses bands, as in the paper.
const coefficientBound = 1.2

// Progress is told how many of total parts are done.
type Progress func(done, total int)

// Result is a cube that was restored, and how.
type Result struct {
	Cube    *cubes.Cube
	Rank    int
	Sigma   []float64 // of each band; NaN of one that was left out
	Blind   bool      // Sigma was estimated
	Values  []float64 // energy of the components a pixel in units of the noise, the largest first
	Edge    float64   // what noise alone stays below
	Chosen  []int     // bands of the basis; nil of Eigen
	Left    []int     // bands that are constant: they are returned as they came
	Largest float64   // largest coefficient of the basis of bands: noise of a chosen band grows by it

	Condition float64 // of the basis: largest over least singular value
	// Whiteness is the variance of what was taken away in units of the noise, of each band: near 1 - Rank/bands where noise alone was.
	// NaN of a band that was left out, and of Enlarge.
	Whiteness []float64
}

// check completes the config and says what does not fit the cube.
func (c *Config) check(y *cubes.Cube) error {
	if err := y.Check(); err != nil && c.Task != Inpaint { // a mask may hide them
		return err
	}
	if c.Prior == nil {
		c.Prior = None{}
	}
	if c.Basis == "" {
		c.Basis = Eigen
	}
	if c.Steps == 0 {
		c.Steps = 6
	}
	switch {
	case c.Task != Denoise && c.Task != Inpaint && c.Task != Enlarge:
		return fmt.Errorf("%w: task %q; want denoise, inpaint or sr", ErrConfig, c.Task)
	case c.Basis != Eigen && c.Basis != Bands:
		return fmt.Errorf("%w: basis %q; want eigen or bands", ErrConfig, c.Basis)
	case c.Basis == Bands && c.Task != Denoise:
		return fmt.Errorf("%w: basis \"bands\" with task %q; want denoise, or basis \"eigen\"", ErrConfig, c.Task)
	case c.Steps < 1:
		return fmt.Errorf("%w: %d steps; want at least 1", ErrConfig, c.Steps)
	case c.Rank < 0 || c.Rank > min(y.Bands, y.Pixels()):
		return fmt.Errorf("%w: rank %d of %d bands and %d pixels; want 1 to %d, or 0 for as many as stand out of the noise", ErrConfig, c.Rank, y.Bands, y.Pixels(), min(y.Bands, y.Pixels()))
	case len(c.Sigma) > 1 && len(c.Sigma) != y.Bands:
		return fmt.Errorf("%w: %d deviations of noise for %d bands; want one for each, or one for all", ErrConfig, len(c.Sigma), y.Bands)
	case c.Task == Inpaint && len(c.Known) != y.Pixels() && len(c.Known) != len(y.Data):
		return fmt.Errorf("%w: a mask of %d values; want one of %d x %d pixels, or of those in %d bands", ErrConfig, len(c.Known), y.Height, y.Width, y.Bands)
	case c.Task != Inpaint && c.Known != nil:
		return fmt.Errorf("%w: a mask with task %q; want task inpaint", ErrConfig, c.Task)
	case c.Task == Enlarge && (c.Scale < 2 || c.Scale > 8):
		return fmt.Errorf("%w: scale %d; want 2 to 8 with task sr", ErrConfig, c.Scale)
	case c.Task != Enlarge && c.Scale != 0:
		return fmt.Errorf("%w: a scale with task %q; want task sr", ErrConfig, c.Task)
	}
	for b, s := range c.Sigma {
		if !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("%w: the noise of band %d has deviation %v; want a number above 0", ErrConfig, b+1, s)
		}
	}
	return nil
}
