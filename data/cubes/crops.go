package cubes

import (
	"fmt"
	"math"

	"sparrow/data"
	"sparrow/internal/rng"
)

// Crops hands out pieces of pictures, varied, each with a deviation of noise: what comes is a function of the seed and of how many
// batches came before.
type Crops struct {
	pictures []Picture
	cfg      CropConfig
	ends     []int // how many pixels pictures have up to each, by which they are drawn
	cursor   data.Cursor
}

// CropConfig says what pieces are like.
type CropConfig struct {
	Rows, Side int
	Seed       uint64
	Sigma      [2]float64 // deviations are drawn evenly by their logarithm between these
	Plain      bool       // neither turned nor scaled nor mirrored: of a measurement
}

// NewCrops is of pictures whose sides are not shorter than a piece's.
func NewCrops(pictures []Picture, cfg CropConfig) *Crops {
	c := &Crops{pictures: pictures, cfg: cfg}
	total := 0
	for _, p := range pictures {
		total += len(p.Values)
		c.ends = append(c.ends, total)
	}
	return c
}

// Pieces is how many fit into the pictures side by side.
func (c *Crops) Pieces() int { return max(1, c.ends[len(c.ends)-1]/(c.cfg.Side*c.cfg.Side)) }

// Batches is how many there are of as many pieces as fit.
func (c *Crops) Batches() int { return (c.Pieces() + c.cfg.Rows - 1) / c.cfg.Rows }

// drawsOf is how many draws are kept for a piece: more than it takes.
const drawsOf = 1 << 32

// Next fills clean and noise [Rows, Side, Side], noise of variance 1, and the deviation of each row.
func (c *Crops) Next(clean, noise []float32, sigma []float64) {
	if c.cursor.Position == c.Batches() {
		c.cursor = data.Cursor{Epoch: c.cursor.Epoch + 1}
	}
	first := uint64(c.cursor.Epoch*c.Batches()+c.cursor.Position) * uint64(c.cfg.Rows)
	size := c.cfg.Side * c.cfg.Side
	for row := range c.cfg.Rows {
		r := rng.New(c.cfg.Seed, "cubes/crops", (first+uint64(row))*drawsOf)
		at := row * size
		c.cut(clean[at:at+size], r)
		low, high := math.Log(c.cfg.Sigma[0]), math.Log(c.cfg.Sigma[1])
		sigma[row] = math.Exp(low + (high-low)*r.Float64())
		rng.FillNormal(r, noise[at:at+size], 0, 1)
	}
	c.cursor.Position++
}

// cut draws a picture by its size, a place, one of eight symmetries, a sign and a gain. Draws come in a fixed number.
func (c *Crops) cut(dst []float32, r *rng.Source) {
	at, k := r.Intn(c.ends[len(c.ends)-1]), 0
	for at >= c.ends[k] {
		k++
	}
	p, n := c.pictures[k], c.cfg.Side
	top, left, turn := r.Intn(p.Height-n+1), r.Intn(p.Width-n+1), r.Intn(8)
	gain := 0.7 + 0.5*r.Float64()
	if r.Intn(2) == 1 {
		gain = -gain
	}
	if c.cfg.Plain {
		turn, gain = 0, 1
	}
	for y := range n {
		for x := range n {
			sy, sx := y, x
			if turn&1 != 0 {
				sy = n - 1 - sy
			}
			if turn&2 != 0 {
				sx = n - 1 - sx
			}
			if turn&4 != 0 {
				sy, sx = sx, sy
			}
			dst[y*n+x] = float32(gain) * p.Values[(top+sy)*p.Width+left+sx]
		}
	}
}

// Cursor is the place of the next batch.
func (c *Crops) Cursor() data.Cursor { return c.cursor }

// Seek moves to a cursor that came from Crops of the same pictures and config. One that cannot is an error and moves nothing.
func (c *Crops) Seek(at data.Cursor) error {
	if at.Epoch < 0 || at.Position < 0 || at.Position > c.Batches() {
		return fmt.Errorf("data: crops: cursor at epoch %d, position %d; want neither negative, and at most %d: was the checkpoint made from other data or another batch_size?", at.Epoch, at.Position, c.Batches())
	}
	c.cursor = at
	return nil
}
