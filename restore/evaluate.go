package restore

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"sparrow/data/cubes"
	"sparrow/factor"
	"sparrow/internal/rng"
)

// Case is how a clean cube is spoilt, to be restored and compared.
type Case struct {
	Task    Task
	Noise   string  // deviation of values from 0 to 255, as in "30", or "10-70": each band has one of its own between these
	Seed    uint64  // of noise and mask
	Missing float64 // share of values that Inpaint hides
	Scale   int     // of Enlarge
	Rank    int     // 0: as many as stand out of the noise
	Steps   int     // of plug-and-play; 0: 6
}

// Row is one way to restore the spoilt cube.
type Row struct {
	Name    string
	Truth   string // what was chosen with the clean cube in hand; "": nothing
	Rank    int    // 0: none
	Quality Quality
	Seconds float64
}

// ParseNoise reads "30" or "10-70".
func ParseNoise(s string) (low, high float64, err error) {
	first, second, two := strings.Cut(s, "-")
	low, err = strconv.ParseFloat(first, 64)
	high = low
	if err == nil && two {
		high, err = strconv.ParseFloat(second, 64)
	}
	if err != nil || !(low > 0 && high >= low && high <= 1000) {
		return 0, 0, fmt.Errorf("%w: noise %q; want a deviation of values from 0 to 255 such as 30, or two such as 10-70", ErrConfig, s)
	}
	return low, high, nil
}

// Spoil makes the noisy cube of a case, and the mask of one that is inpainted. The clean cube has values from 0 to 1.
func Spoil(clean *cubes.Cube, c Case) (y *cubes.Cube, known []bool, err error) {
	low, high, err := ParseNoise(c.Noise)
	if err != nil {
		return nil, nil, err
	}
	y = clean
	if c.Task == Enlarge {
		if c.Scale < 2 || c.Scale > 8 {
			return nil, nil, fmt.Errorf("%w: scale %d; want 2 to 8", ErrConfig, c.Scale)
		}
		y = cubes.New(clean.Height/c.Scale, clean.Width/c.Scale, clean.Bands)
		rows, cols := Blur(y.Height*c.Scale, c.Scale), Blur(y.Width*c.Scale, c.Scale)
		whole := crop(clean, y.Height*c.Scale, y.Width*c.Scale)
		for b := range y.Bands {
			y.SetBand(b, sides(rows, cols, whole.Band(b)))
		}
	}
	y = y.Clone()
	sigma := make([]float64, y.Bands)
	r := rng.New(c.Seed, "restore/sigma", 0)
	for b := range sigma {
		sigma[b] = (low + (high-low)*r.Float64()) / 255
	}
	noise := make([]float64, len(y.Data))
	rng.FillNormal(rng.New(c.Seed, "restore/noise", 0), noise, 0, 1)
	for i := range y.Data {
		y.Data[i] += sigma[i%y.Bands] * noise[i]
	}
	if c.Task == Inpaint {
		if !(c.Missing > 0 && c.Missing < 1) {
			return nil, nil, fmt.Errorf("%w: a share of %v missing; want more than 0 and less than 1", ErrConfig, c.Missing)
		}
		r := rng.New(c.Seed, "restore/mask", 0)
		known = make([]bool, len(y.Data))
		for i := range known {
			known[i] = r.Float64() >= c.Missing
			if !known[i] {
				y.Data[i] = 0
			}
		}
	}
	return y, known, nil
}

// crop is the upper left part.
func crop(c *cubes.Cube, h, w int) *cubes.Cube {
	d := cubes.New(h, w, c.Bands)
	d.Wavelengths = c.Wavelengths
	for y := range h {
		copy(d.Data[y*w*c.Bands:(y+1)*w*c.Bands], c.Data[y*c.Width*c.Bands:])
	}
	return d
}

// Evaluate spoils a clean cube of values from 0 to 1, restores it in every way there is and by the priors given, and measures each. What
// restores has no sight of the clean cube, but for rows that say so by Truth.
func Evaluate(ctx context.Context, clean *cubes.Cube, c Case, priors []Prior, progress Progress) ([]Row, error) {
	if err := clean.Check(); err != nil {
		return nil, err
	}
	y, known, err := Spoil(clean, c)
	if err != nil {
		return nil, err
	}
	if c.Task == Enlarge {
		clean = crop(clean, y.Height*c.Scale, y.Width*c.Scale)
	}
	e := &evaluation{ctx: ctx, clean: clean, y: y, known: known, c: c, progress: progress}
	e.total = 5 + len(priors)
	switch c.Task {
	case Denoise:
		err = e.denoise(priors)
	case Inpaint:
		err = e.inpaint(priors)
	case Enlarge:
		err = e.enlarge(priors)
	default:
		err = fmt.Errorf("%w: task %q; want denoise, inpaint or sr", ErrConfig, c.Task)
	}
	return e.rows, err
}

// evaluation collects rows.
type evaluation struct {
	ctx      context.Context
	clean, y *cubes.Cube
	known    []bool
	c        Case
	rows     []Row
	progress Progress
	total    int
}

// add measures what make returns, and how long it takes.
func (e *evaluation) add(name, truth string, make func() (*cubes.Cube, int, error)) error {
	start := time.Now()
	got, rank, err := make()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	ratio := 1.0
	if e.c.Task == Enlarge {
		ratio = float64(e.c.Scale)
	}
	e.rows = append(e.rows, Row{Name: name, Truth: truth, Rank: rank, Seconds: time.Since(start).Seconds(), Quality: Compare(e.clean, got, ratio)})
	if e.progress != nil {
		e.progress(min(len(e.rows), e.total-1), e.total)
	}
	return nil
}

// run is a row of Run.
func (e *evaluation) run(name string, p Prior, basis Basis, rank int) error {
	return e.add(name, "", func() (*cubes.Cube, int, error) {
		r, err := Run(e.ctx, e.y, Config{Task: e.c.Task, Basis: basis, Rank: rank, Prior: p, Known: e.known, Scale: e.c.Scale, Steps: e.c.Steps}, nil)
		if err != nil {
			return nil, 0, err
		}
		return r.Cube, r.Rank, nil
	})
}

// rest are the rows that every task has: low rank with each prior.
func (e *evaluation) rest(priors []Prior) error {
	for _, p := range append([]Prior{BM3D{}}, priors...) {
		if err := e.run("low rank + "+p.Name(), p, Eigen, e.c.Rank); err != nil {
			return err
		}
	}
	return nil
}

// weights of total variation that are tried where the clean cube chooses.
var weights = []float64{0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5}

func (e *evaluation) denoise(priors []Prior) error {
	sigma, err := cubes.Noise(e.ctx, e.y)
	if err != nil {
		return err
	}
	if err := e.add("noisy", "", func() (*cubes.Cube, int, error) { return e.y, 0, nil }); err != nil {
		return err
	}
	if err := e.add("tv of each band", "", func() (*cubes.Cube, int, error) {
		out := e.y.Clone()
		for b := range out.Bands {
			x, err := TV{}.Denoise(e.ctx, e.y.Band(b), out.Height, out.Width, sigma[b])
			if err != nil {
				return nil, 0, err
			}
			out.SetBand(b, x)
		}
		return out, 0, nil
	}); err != nil {
		return err
	}
	if err := e.add("low rank", "rank", func() (best *cubes.Cube, rank int, err error) {
		most := -math.MaxFloat64
		full, err := cubes.Decompose(e.ctx, e.y, sigma, min(mostRank, e.y.Bands, e.y.Pixels()))
		if err != nil {
			return nil, 0, err
		}
		for k := 1; k <= full.Basis.Rows; k++ {
			cut := &cubes.Eigen{Sigma: sigma, Basis: &factor.Matrix{Rows: k, Cols: e.y.Bands, Data: full.Basis.Data[:k*e.y.Bands]}, Scores: firstColumns(full.Scores, k)}
			x, err := denoiseEigen(e.ctx, e.y, cut, None{}, func(int, int) {})
			if err != nil {
				return nil, 0, err
			}
			if q := Compare(e.clean, x, 1).PSNR; q > most {
				most, best, rank = q, x, k
			}
		}
		return best, rank, nil
	}); err != nil {
		return err
	}
	if err := e.add("low rank + tv", "weight", func() (best *cubes.Cube, rank int, err error) {
		most := -math.MaxFloat64
		for _, w := range weights {
			r, err := Run(e.ctx, e.y, Config{Task: Denoise, Rank: e.c.Rank, Prior: TV{Weight: w}}, nil)
			if err != nil {
				return nil, 0, err
			}
			if q := Compare(e.clean, r.Cube, 1).PSNR; q > most {
				most, best, rank = q, r.Cube, r.Rank
			}
		}
		return best, rank, nil
	}); err != nil {
		return err
	}
	if err := e.rest(priors); err != nil {
		return err
	}
	if len(priors) > 0 {
		return e.run("three bands + "+priors[0].Name(), priors[0], Bands, min(3, e.y.Bands))
	}
	return e.run("three bands + bm3d", BM3D{}, Bands, min(3, e.y.Bands))
}

// firstColumns returns a matrix of the first k columns.
func firstColumns(m *factor.Matrix, k int) *factor.Matrix {
	index := make([]int, k)
	for i := range index {
		index[i] = i
	}
	return m.Columns(index)
}

func (e *evaluation) inpaint(priors []Prior) error {
	if err := e.add("zeros for unknown, rank 3", "", func() (*cubes.Cube, int, error) {
		r, err := Run(e.ctx, e.y, Config{Task: Denoise, Rank: min(3, e.y.Bands)}, nil)
		if err != nil {
			return nil, 0, err
		}
		// The paper's way to the basis; a share of the values is zero, so pictures are that much too dark.
		for i := range r.Cube.Data {
			r.Cube.Data[i] /= 1 - e.c.Missing
		}
		return r.Cube, r.Rank, nil
	}); err != nil {
		return err
	}
	if err := e.run("low rank", None{}, Eigen, e.c.Rank); err != nil {
		return err
	}
	if err := e.run("low rank + tv", TV{}, Eigen, e.c.Rank); err != nil {
		return err
	}
	return e.rest(priors)
}

func (e *evaluation) enlarge(priors []Prior) error {
	if err := e.add("cubic of each band", "", func() (*cubes.Cube, int, error) {
		out := cubes.New(e.clean.Height, e.clean.Width, e.clean.Bands)
		rows, cols := Cubic(e.y.Height, e.c.Scale), Cubic(e.y.Width, e.c.Scale)
		for b := range out.Bands {
			out.SetBand(b, sides(rows, cols, e.y.Band(b)))
		}
		return out, 0, nil
	}); err != nil {
		return err
	}
	if err := e.run("low rank, then cubic", None{}, Eigen, e.c.Rank); err != nil {
		return err
	}
	if err := e.run("low rank + tv", TV{}, Eigen, e.c.Rank); err != nil {
		return err
	}
	return e.rest(priors)
}
