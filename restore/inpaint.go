package restore

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/data/cubes"
	"sparrow/factor"
	"sparrow/kernel"
)

// mostRank is the largest rank that is tried where known values must tell it.
const mostRank = 12

// inpaint finds the basis by alternating least squares over the known values, then alternates the prior and the proximal step.
func inpaint(ctx context.Context, y *cubes.Cube, cfg Config, progress Progress) (*Result, error) {
	known, err := knownValues(y, cfg.Known)
	if err != nil {
		return nil, err
	}
	live, left, part, marks := livePart(y, known)
	if len(live) == 0 {
		return nil, fmt.Errorf("%w: no band has two known values that differ", ErrConfig)
	}
	cfg.Rank = min(cfg.Rank, len(live))
	sigma, low, blind, err := missingFit(ctx, part, marks, cfg, live)
	if err != nil {
		return nil, err
	}
	r := &Result{Rank: low.Down.Rows, Blind: blind, Condition: 1, Left: left}
	for k := range low.Up.Cols {
		c := column(low.Up, k)
		r.Values = append(r.Values, kernel.SumSquares(c)/float64(len(c)))
	}
	white := &cubes.Cube{Height: part.Height, Width: part.Width, Bands: part.Bands, Data: slices.Clone(part.Data)}
	for i := range white.Data {
		white.Data[i] /= sigma[i%white.Bands]
	}
	observed := 0
	for _, yes := range marks {
		if yes {
			observed++
		}
	}
	if _, plain := cfg.Prior.(None); !plain {
		noise := math.Sqrt(float64(len(marks)) / float64(observed))
		fillHoles(low.Up, marks, part.Bands, part.Height, part.Width)
		if err := plugAndPlay(ctx, white, marks, low, cfg, noise, progress); err != nil {
			return nil, err
		}
	}
	done := cubes.Compose(part.Height, part.Width, low.Up, low.Down, sigma)
	r.finish(y, part, done, live, sigma)
	for i, b := range live { // of known values alone
		sum, n := 0.0, 0
		for p := range part.Pixels() {
			if at := p*part.Bands + i; marks[at] {
				d := (part.Data[at] - done.Data[at]) / sigma[i]
				sum += d * d
				n++
			}
		}
		r.Whiteness[b] = sum / float64(n)
	}
	return r, nil
}

// knownValues has a mark for each value; a known one that is no finite number is an error that names its band.
func knownValues(y *cubes.Cube, known []bool) ([]bool, error) {
	if len(known) == y.Pixels() && y.Bands > 1 {
		all := make([]bool, 0, len(y.Data))
		for _, yes := range known {
			all = append(all, slices.Repeat([]bool{yes}, y.Bands)...)
		}
		known = all
	}
	for i, v := range y.Data {
		if known[i] && v-v != 0 {
			p := i / y.Bands
			return nil, fmt.Errorf("%w: band %d has %v at row %d, column %d, which the mask calls known; want a finite number, or 0 in the mask", ErrConfig, i%y.Bands+1, v, p/y.Width+1, p%y.Width+1)
		}
	}
	return known, nil
}

// livePart is the cube and marks of the bands with known values that differ; the others are left out. Unknown values are 0.
func livePart(y *cubes.Cube, known []bool) (live, left []int, part *cubes.Cube, marks []bool) {
	for b := range y.Bands {
		first, differ := math.NaN(), false
		for i := b; i < len(y.Data); i += y.Bands {
			if known[i] {
				if first != first {
					first = y.Data[i]
				}
				differ = differ || y.Data[i] != first
			}
		}
		if differ {
			live = append(live, b)
		} else {
			left = append(left, b)
		}
	}
	part = y.Select(live)
	marks = make([]bool, len(part.Data))
	for i := range part.Data {
		marks[i] = known[i/len(live)*y.Bands+live[i%len(live)]]
		if !marks[i] {
			part.Data[i] = 0
		}
	}
	return live, left, part, marks
}

// missingFit finds noise, rank and factors of the whitened cube. Noise that is not given is what factors leave of the known values,
// first with bands in units of their root mean square.
func missingFit(ctx context.Context, part *cubes.Cube, marks []bool, cfg Config, live []int) (sigma []float64, low *factor.LowRank, blind bool, err error) {
	blind = cfg.Sigma == nil
	rounds := 1
	if blind {
		rounds = 3
		sigma = make([]float64, part.Bands)
		for b := range sigma {
			sum, n := 0.0, 0
			for i := b; i < len(part.Data); i += part.Bands {
				if marks[i] {
					sum += part.Data[i] * part.Data[i]
					n++
				}
			}
			sigma[b] = 0.1 * math.Sqrt(sum/float64(n))
		}
	} else {
		sigma = spread(cfg.Sigma, live)
	}
	rank := cfg.Rank
	for round := range rounds {
		white := part.Matrix().Clone()
		for i := range white.Data {
			white.Data[i] /= sigma[i%part.Bands]
		}
		if cfg.Rank == 0 && (round == 0 || round == rounds-1) {
			if rank, err = heldOutRank(ctx, white, marks); err != nil {
				return nil, nil, false, err
			}
		}
		low, err = factor.MissingLowRank(ctx, white, marks, factor.MissingConfig{Rank: rank}, nil)
		if err != nil {
			return nil, nil, false, err
		}
		if !blind || round == rounds-1 {
			break
		}
		for b := range sigma {
			sum, n := 0.0, 0
			for p := range white.Rows {
				if at := p*white.Cols + b; marks[at] {
					d := white.Data[at]
					for k := range rank {
						d -= low.Up.Row(p)[k] * low.Down.Row(k)[b]
					}
					sum += d * d
					n++
				}
			}
			sigma[b] *= math.Sqrt(max(sum/float64(n), 1e-12) * freedom(marks, rank, part.Bands))
		}
	}
	return sigma, low, blind, nil
}

// freedom is by how much what is left of known values must grow, since each pixel's scores were fitted to them: values over values less
// scores.
func freedom(marks []bool, rank, bands int) float64 {
	known, spent := 0, 0
	for p := 0; p < len(marks); p += bands {
		own := 0
		for _, yes := range marks[p : p+bands] {
			if yes {
				own++
			}
		}
		known += own
		spent += min(own, rank)
	}
	return float64(known) / max(float64(known-spent), 1)
}

// heldOutRank tries ranks on nine tenths of the known values and takes the first that fits the others best: a larger one must be
// better by a thousandth.
func heldOutRank(ctx context.Context, white *factor.Matrix, marks []bool) (int, error) {
	fit := slices.Clone(marks)
	var held []int
	count := 0
	for i, yes := range marks {
		if yes {
			if count%10 == (count/10)%7 { // no band and no column alone
				fit[i] = false
				held = append(held, i)
			}
			count++
		}
	}
	best, least := 1, math.Inf(1)
	for rank := 1; rank <= min(mostRank, white.Rows, white.Cols); rank++ {
		low, err := factor.MissingLowRank(ctx, white, fit, factor.MissingConfig{Rank: rank, Sweeps: 6}, nil)
		if err != nil {
			return 0, err
		}
		sum := 0.0
		for _, i := range held {
			d := white.Data[i]
			for k := range rank {
				d -= low.Up.Row(i / white.Cols)[k] * low.Down.Row(k)[i%white.Cols]
			}
			sum += d * d
		}
		if sum < least*0.999 {
			best, least = rank, sum
		} else if rank > best+1 {
			break
		}
	}
	return best, nil
}

// fillHoles gives pixels of which no band is known the mean of their neighbours, from the rim of a hole inwards.
func fillHoles(scores *factor.Matrix, marks []bool, bands, h, w int) {
	full := make([]bool, h*w)
	var empty []int
	for p := range full {
		full[p] = slices.Contains(marks[p*bands:(p+1)*bands], true)
		if !full[p] {
			empty = append(empty, p)
		}
	}
	for len(empty) > 0 && len(empty) < h*w {
		var rest, filled []int
		for _, p := range empty {
			mean, n := make([]float64, scores.Cols), 0.0
			for _, d := range [][2]int{{-1, 0}, {1, 0}, {0, -1}, {0, 1}} {
				y, x := p/w+d[0], p%w+d[1]
				if y >= 0 && y < h && x >= 0 && x < w && full[y*w+x] {
					kernel.Add(mean, mean, scores.Row(y*w+x))
					n++
				}
			}
			if n == 0 {
				rest = append(rest, p)
				continue
			}
			kernel.Scale(1/n, mean)
			copy(scores.Row(p), mean)
			filled = append(filled, p)
		}
		for _, p := range filled {
			full[p] = true
		}
		empty = rest
	}
}

// plugAndPlay alternates the prior and the proximal step of the known values, and ends with the prior.
func plugAndPlay(ctx context.Context, white *cubes.Cube, marks []bool, low *factor.LowRank, cfg Config, noise float64, progress Progress) error {
	k := low.Up.Cols
	basis := low.Down.Transpose() // [B, K]
	for i, deviation := range deviations(cfg.Steps, noise) {
		z := factor.NewMatrix(low.Up.Rows, k)
		for c := range k {
			clean, err := cfg.Prior.Denoise(ctx, column(low.Up, c), white.Height, white.Width, deviation)
			if err != nil {
				return fmt.Errorf("restore: component %d: %w", c+1, err)
			}
			setColumn(z, c, clean)
			progress(i*k+c+1, cfg.Steps*k)
		}
		if i == cfg.Steps-1 {
			low.Up = z
			break
		}
		maskStep(white.Matrix(), marks, basis, low.Up, z, deviation)
	}
	return nil
}

// maskStep is the proximal step of known values, in each pixel: (Eᵀ diag(m) E + 1/s²) c = Eᵀ (m y) + z/s².
func maskStep(white *factor.Matrix, marks []bool, basis, scores, z *factor.Matrix, deviation float64) {
	n, k := white.Cols, basis.Cols
	weight := 1 / (deviation * deviation)
	kernel.Ranges(white.Rows, 64, func(from, to int) {
		normal, right := factor.NewMatrix(k, k), make([]float64, k)
		for p := from; p < to; p++ {
			clear(normal.Data)
			for c := range k {
				normal.Row(c)[c] = weight
				right[c] = weight * z.Row(p)[c]
			}
			for b := range n {
				if !marks[p*n+b] {
					continue
				}
				e := basis.Row(b)
				for c, v := range e {
					kernel.Axpy(v, e, normal.Row(c))
				}
				kernel.Axpy(white.Row(p)[b], e, right)
			}
			if factor.SolvePositive(normal, right) != nil { // only where s is so large that 1/s² is lost, and nothing is known
				copy(right, z.Row(p))
			}
			copy(scores.Row(p), right)
		}
	})
}
