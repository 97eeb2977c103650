package restore

import (
	"cmp"
	"math"
	"slices"
)

// group is a stack of similar blocks, with the memory that it is filtered in.
type group struct {
	b     *bm3d
	found []match
	at    []int     // first pixel of each block
	stack []float64 // [blocks, 64], noisy, then filtered
	guide []float64 // of the second step: [blocks, 64] of the first result
	half  []float64
}

// match is a candidate.
type match struct {
	distance float64
	at       int
}

func newGroup(b *bm3d) *group {
	return &group{b: b, found: make([]match, 0, searchSide*searchSide), stack: make([]float64, b.most*blockPixels), guide: make([]float64, b.most*blockPixels), half: make([]float64, blockPixels+b.most)}
}

// gather finds the blocks nearest to the one at (top, left), itself first, as many as the largest power of two has.
func (g *group) gather(top, left int) {
	b := g.b
	const reach = searchSide / 2
	limit := b.match * blockPixels
	g.found = g.found[:0]
	reference := top*b.w + left
	for y := max(top-reach, 0); y <= min(top+reach, b.h-blockSide); y++ {
		for x := max(left-reach, 0); x <= min(left+reach, b.w-blockSide); x++ {
			at := y*b.w + x
			d := 0.0
			for row := 0; row < blockSide && d < limit; row++ {
				p, q := b.guide[reference+row*b.w:][:blockSide], b.guide[at+row*b.w:][:blockSide]
				d0, d1, d2, d3 := p[0]-q[0], p[1]-q[1], p[2]-q[2], p[3]-q[3]
				d4, d5, d6, d7 := p[4]-q[4], p[5]-q[5], p[6]-q[6], p[7]-q[7]
				d += d0*d0 + d1*d1 + d2*d2 + d3*d3 + d4*d4 + d5*d5 + d6*d6 + d7*d7
			}
			if d < limit || at == reference {
				g.found = append(g.found, match{d, at})
			}
		}
	}
	slices.SortFunc(g.found, func(p, q match) int {
		return cmp.Or(cmp.Compare(p.distance, q.distance), cmp.Compare(p.at, q.at))
	})
	n := 1
	for 2*n <= min(len(g.found), b.most) {
		n *= 2
	}
	g.at = g.at[:0]
	for _, m := range g.found[:n] {
		g.at = append(g.at, m.at)
	}
	for k, at := range g.at {
		for row := range blockSide {
			copy(g.stack[k*blockPixels+row*blockSide:][:blockSide], b.noisy[at+row*b.w:])
			if b.wiener {
				copy(g.guide[k*blockPixels+row*blockSide:][:blockSide], b.guide[at+row*b.w:])
			}
		}
	}
}

// filter denoises the stack and returns its weight in the average.
func (g *group) filter() float64 {
	b := g.b
	n := len(g.at)
	g.transform(g.stack, n, b.forward)
	weight := 1.0
	if b.wiener {
		g.transform(g.guide, n, b.forward)
		energy := 0.0
		for i := range n * blockPixels {
			s := g.guide[i] * g.guide[i]
			shrink := s / (s + b.sigma*b.sigma)
			g.stack[i] *= shrink
			energy += shrink * shrink
		}
		weight = 1 / max(energy, 1e-12)
	} else {
		kept := 0
		limit := thresholds * b.sigma
		for i := range n * blockPixels {
			if math.Abs(g.stack[i]) < limit {
				g.stack[i] = 0
			} else {
				kept++
			}
		}
		weight = 1 / float64(max(kept, 1))
	}
	g.inverse(g.stack, n, b.forward)
	return weight
}

// transform applies the 2-D transform to each block and Haar's along the stack.
func (g *group) transform(stack []float64, n int, t transform) {
	for k := range n {
		t.both(stack[k*blockPixels:(k+1)*blockPixels], g.half, t.forward)
	}
	haar(stack, n, g.half, false)
}

// inverse undoes transform.
func (g *group) inverse(stack []float64, n int, t transform) {
	haar(stack, n, g.half, true)
	for k := range n {
		t.both(stack[k*blockPixels:(k+1)*blockPixels], g.half, t.inverse)
	}
}

// haar is the orthonormal Haar transform over n blocks, a power of two, or its inverse.
func haar(stack []float64, n int, column []float64, inverse bool) {
	if n == 1 {
		return
	}
	const root = math.Sqrt2 / 2
	old, own := column[:n], column[n:2*n]
	for p := range blockPixels {
		for k := range n {
			old[k] = stack[k*blockPixels+p]
		}
		if inverse {
			for m := 1; m < n; m *= 2 {
				for k := range m {
					own[2*k], own[2*k+1] = root*(old[k]+old[m+k]), root*(old[k]-old[m+k])
				}
				copy(old[:2*m], own)
			}
		} else {
			for m := n / 2; m >= 1; m /= 2 {
				for k := range m {
					own[k], own[m+k] = root*(old[2*k]+old[2*k+1]), root*(old[2*k]-old[2*k+1])
				}
				copy(old[:2*m], own)
			}
		}
		for k := range n {
			stack[k*blockPixels+p] = old[k]
		}
	}
}
