package restore

import (
	"context"
	"math"
	"slices"

	"sparrow/kernel"
)

// BM3D is block matching and 3-D filtering (Dabov et al., "Image denoising by sparse 3-D transform-domain collaborative filtering",
// IEEE TIP 2007) with the parameters of its table I for noise below 40: groups of similar blocks are thresholded together, then
// filtered by Wiener's rule, whose spectrum the first result gives. What the paper gives for values of 0 to 255 holds for pictures
// that are scaled to their own range, as FastHyDe does.
type BM3D struct{}

// Name implements Prior.
func (BM3D) Name() string { return "bm3d" }

// The paper's table I, normal profile. Distances are of squared values of 0 to 1, per pixel of a block.
const (
	blockSide   = 8
	blockPixels = blockSide * blockSide
	blockStep   = 3
	searchSide  = 39
	thresholds  = 2.7 // lambda_3D
	groupHard   = 16
	groupWiener = 32
	matchHard   = 3000.0 / (255 * 255)
	matchWiener = 400.0 / (255 * 255)
	kaiserBeta  = 2.0
)

// Denoise implements Prior.
func (BM3D) Denoise(ctx context.Context, picture []float64, h, w int, sigma float64) ([]float64, error) {
	low, high := slices.Min(picture), slices.Max(picture)
	if h < blockSide || w < blockSide || !(high > low) || !(sigma > 0) {
		return slices.Clone(picture), nil
	}
	scale := 1 / (high - low)
	noisy := make([]float64, len(picture))
	for i, v := range picture {
		noisy[i] = (v - low) * scale
	}
	first := &bm3d{h: h, w: w, sigma: sigma * scale, noisy: noisy, guide: noisy, most: groupHard, match: matchHard, forward: bior15, wiener: false}
	basic, err := first.run(ctx)
	if err != nil {
		return nil, err
	}
	second := &bm3d{h: h, w: w, sigma: sigma * scale, noisy: noisy, guide: basic, most: groupWiener, match: matchWiener, forward: dct8, wiener: true}
	out, err := second.run(ctx)
	if err != nil {
		return nil, err
	}
	for i, v := range out {
		out[i] = low + v/scale
	}
	return out, nil
}

// bm3d is one of the two steps.
type bm3d struct {
	h, w         int
	sigma        float64
	noisy, guide []float64 // what is filtered, and what blocks are matched by (and gives Wiener's spectrum)
	most         int       // blocks of a group
	match        float64   // largest distance of a block to its reference
	forward      transform
	wiener       bool
}

// places are the first rows or columns of reference blocks: every blockStep, and the last.
func places(n int) []int {
	var at []int
	for i := 0; i < n-blockSide; i += blockStep {
		at = append(at, i)
	}
	return append(at, n-blockSide)
}

// run filters every group and averages what it says of each pixel, weighted. Rows of references are spread over threads, each of which
// sums into a strip of its own; strips are added in order.
func (b *bm3d) run(ctx context.Context) ([]float64, error) {
	tops, lefts := places(b.h), places(b.w)
	const reach = searchSide / 2
	type strip struct {
		top      int
		sum, wgt []float64
	}
	strips := make([]strip, len(tops))
	window := kaiser()
	const batch = 16 // strips in memory at a time
	sum, weight := make([]float64, b.h*b.w), make([]float64, b.h*b.w)
	for from := 0; from < len(tops); from += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(from+batch, len(tops))
		kernel.Ranges(to-from, 1, func(lo, hi int) {
			for i := from + lo; i < from+hi; i++ {
				top := max(tops[i]-reach, 0)
				rows := min(tops[i]+reach+blockSide, b.h) - top
				s := strip{top, make([]float64, rows*b.w), make([]float64, rows*b.w)}
				g := newGroup(b)
				for _, left := range lefts {
					g.gather(tops[i], left)
					wgt := g.filter()
					for k, at := range g.at {
						y0, x0 := at/b.w-top, at%b.w
						for y := range blockSide {
							dst := (y0+y)*b.w + x0
							for x := range blockSide {
								v := wgt * window[y*blockSide+x]
								s.sum[dst+x] += v * g.stack[k*blockPixels+y*blockSide+x]
								s.wgt[dst+x] += v
							}
						}
					}
				}
				strips[i] = s
			}
		})
		for i := from; i < to; i++ {
			s := strips[i]
			kernel.Add(sum[s.top*b.w:s.top*b.w+len(s.sum)], sum[s.top*b.w:s.top*b.w+len(s.sum)], s.sum)
			kernel.Add(weight[s.top*b.w:s.top*b.w+len(s.wgt)], weight[s.top*b.w:s.top*b.w+len(s.wgt)], s.wgt)
			strips[i] = strip{}
		}
	}
	for i, v := range weight {
		sum[i] /= v // every pixel is in a reference block
	}
	return sum, nil
}

// kaiser is the window of the paper's aggregation, an outer product of Kaiser windows.
func kaiser() []float64 {
	bessel := func(x float64) float64 {
		sum, term := 1.0, 1.0
		for k := 1; k < 30; k++ {
			term *= (x / 2 / float64(k)) * (x / 2 / float64(k))
			sum += term
		}
		return sum
	}
	var line [blockSide]float64
	for i := range line {
		u := 2*float64(i)/(blockSide-1) - 1
		line[i] = bessel(kaiserBeta*math.Sqrt(1-u*u)) / bessel(kaiserBeta)
	}
	window := make([]float64, blockPixels)
	for y := range blockSide {
		for x := range blockSide {
			window[y*blockSide+x] = line[y] * line[x]
		}
	}
	return window
}
