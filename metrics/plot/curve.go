package plot

import (
	"math"

	"gonum.org/v1/plot/plotter"

	"sparrow/metrics"
)

// curve is a loss over the steps, in the order of the steps. A Y that is not drawable is a gap.
type curve []plotter.XY

// lossCurve returns the values of that name in the records of that kind; records without it leave no gap.
func lossCurve(records []metrics.Record, kind, name string) curve {
	var c curve
	for _, r := range records {
		if x, found := r.Value(name); found && r.Kind == kind {
			c = append(c, plotter.XY{X: float64(r.Step), Y: x})
		}
	}
	return c
}

// smooth returns the centred moving average
//
//	y'[i] = mean of the drawable y[i-h..i+h],  h = min(half, i)
//
// which, unlike an exponential average, does not trail behind a falling loss. At the start, where the loss is steep, the
// window shrinks and stays centred; at the end, where it is flat and noisy, the window only loses what does not exist. A
// gap stays a gap. It returns nil when half is 0: there is nothing to smooth.
func (c curve) smooth(half int) curve {
	if half == 0 {
		return nil
	}
	sum := make([]float64, len(c)+1)
	count := make([]int, len(c)+1)
	for i, p := range c {
		sum[i+1], count[i+1] = sum[i], count[i]
		if drawable(p.Y) {
			sum[i+1] += p.Y
			count[i+1]++
		}
	}
	out := make(curve, len(c))
	for i, p := range c {
		h := min(half, i)
		from, to := i-h, min(len(c), i+h+1)
		out[i] = plotter.XY{X: p.X, Y: math.NaN()}
		if drawable(p.Y) {
			out[i].Y = (sum[to] - sum[from]) / float64(count[to]-count[from])
		}
	}
	return out
}

// reduce keeps at most the first, lowest, highest and last value of each of plotBuckets stretches, which draw the same
// picture as all of them. A stretch without a drawable value stays a gap.
func (c curve) reduce() curve {
	if len(c) <= 4*plotBuckets {
		return c
	}
	var out curve
	for b := range plotBuckets {
		part := c[b*len(c)/plotBuckets : (b+1)*len(c)/plotBuckets]
		first, last, low, high := -1, -1, -1, -1
		for i, p := range part {
			if !drawable(p.Y) {
				continue
			}
			if first < 0 {
				first, low, high = i, i, i
			}
			last = i
			if p.Y < part[low].Y {
				low = i
			}
			if p.Y > part[high].Y {
				high = i
			}
		}
		if first < 0 {
			out = append(out, part[0])
			continue
		}
		kept := -1
		for _, i := range [4]int{first, min(low, high), max(low, high), last} {
			if i > kept {
				out = append(out, part[i])
				kept = i
			}
		}
	}
	return out
}

// clip lowers what lies above the picture to its upper edge.
func (c curve) clip(top float64) curve {
	out := make(curve, len(c))
	for i, p := range c {
		if p.Y > top && drawable(p.Y) {
			p.Y = top
		}
		out[i] = p
	}
	return out
}

// stretches splits the curve at its gaps.
func (c curve) stretches() []curve {
	var out []curve
	from := 0
	for i := 0; i <= len(c); i++ {
		if i < len(c) && drawable(c[i].Y) {
			continue
		}
		if i > from {
			out = append(out, c[from:i])
		}
		from = i + 1
	}
	return out
}

// lowest returns the first of the lowest drawable values, and whether there is one.
func (c curve) lowest() (best plotter.XY, found bool) {
	for _, p := range c {
		if drawable(p.Y) && (!found || p.Y < best.Y) {
			best, found = p, true
		}
	}
	return best, found
}

func (c curve) notDrawn() int {
	n := 0
	for _, p := range c {
		if !drawable(p.Y) {
			n++
		}
	}
	return n
}

// drawable tells whether a loss can be placed on an axis: it is not NaN, not infinite, and not so large that the axis'
// own arithmetic would overflow.
func drawable(x float64) bool { return math.Abs(x) <= 1e30 }
