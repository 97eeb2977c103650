package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// cacheShape is a product with cached rows.
type cacheShape struct{ queries, n, width int }

// cacheShapes has every way to cut the queries, groups of rows with and without a rest, and widths
// with and without a part of a vector.
func cacheShapes() (all []cacheShape) {
	for _, queries := range []int{1, 2, 3, 4, 7, 8, 13} {
		for _, n := range []int{1, 7, 16, 23, 64, 130} {
			for _, width := range []int{1, 6, 8, 16, 24, 40, 64, 100, 160} {
				all = append(all, cacheShape{queries, n, width})
			}
		}
	}
	return append(all, cacheShape{8, 2*cacheTestCall + 21, 128}, cacheShape{1, cacheTestCall + 3, 64})
}

// cacheTestCall is more rows than one assembly call gets.
const cacheTestCall = 1025

// cacheProblem is a shape with operands that end where their memory ends.
type cacheProblem struct {
	cacheShape
	rows       CacheRows[float32]
	exact      []float64 // what rows stand for, [n, width]
	q, p, s, y []float32
}

func newCacheProblem(c cacheShape, codes bool, memory func(n int) []float32) *cacheProblem {
	rng := rand.New(rand.NewPCG(uint64(c.queries), uint64(c.n*1000+c.width)))
	draw := func(n int) []float32 {
		x := memory(n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	pad := rng.IntN(3) // between rows
	m := &cacheProblem{cacheShape: c, rows: CacheRows[float32]{LD: c.width + pad}, exact: make([]float64, c.n*c.width)}
	m.q, m.p, m.s, m.y = draw(c.queries*c.width), draw(c.queries*c.n), draw(c.queries*c.n), draw(c.queries*c.width)
	x := draw((c.n-1)*m.rows.LD + c.width)
	if !codes {
		m.rows.X = x
	} else {
		m.rows.Codes, m.rows.Scales = make([]int8, len(x)), draw(c.n)
		for i := range x {
			m.rows.Codes[i] = int8(rng.IntN(255) - 127)
		}
	}
	for j := range c.n {
		for i := range c.width {
			if at := j*m.rows.LD + i; codes {
				m.exact[j*c.width+i] = float64(m.rows.Codes[at]) * float64(m.rows.Scales[j])
			} else {
				m.exact[j*c.width+i] = float64(x[at])
			}
		}
	}
	return m
}

// nearSum tells whether a sum of terms is what float32 can make of it; size is the sum of the terms'
// magnitudes.
func nearSum(got float32, want, size float64) bool {
	return math.Abs(float64(got)-want) <= 2e-6*size+1e-30
}

// TestCacheProducts compares the scores and the sums of values with loops in float64.
func TestCacheProducts(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, codes := range []bool{false, true} {
			for _, c := range cacheShapes() {
				m := newCacheProblem(c, codes, func(n int) []float32 { return make([]float32, n) })
				m.check(t, fmt.Sprintf("%+v codes %v", c, codes))
			}
		}
	})
}

func (m *cacheProblem) check(t *testing.T, what string) {
	t.Helper()
	CacheScores(m.s, m.n, m.q, m.width, m.rows, m.queries, m.n, m.width, &m.rows)
	for i := range m.queries {
		for j := range m.n {
			var want, size float64
			for c := range m.width {
				term := float64(m.q[i*m.width+c]) * m.exact[j*m.width+c]
				want, size = want+term, size+math.Abs(term)
			}
			if got := m.s[i*m.n+j]; !nearSum(got, want, size) {
				t.Fatalf("%s: score of query %d and row %d is %v, want %v", what, i, j, got, want)
			}
		}
	}
	before, weights := slices.Clone(m.y), slices.Clone(m.p)
	CacheValues(m.y, m.width, m.p, m.n, m.rows, m.queries, m.n, m.width, nil)
	for i := range m.queries {
		for c := range m.width {
			want := float64(before[i*m.width+c])
			size := math.Abs(want)
			for j := range m.n {
				term := float64(weights[i*m.n+j]) * m.exact[j*m.width+c]
				want, size = want+term, size+math.Abs(term)
			}
			if got := m.y[i*m.width+c]; !nearSum(got, want, size) {
				t.Fatalf("%s: sum of query %d column %d is %v, want %v", what, i, c, got, want)
			}
		}
	}
}

// TestCacheScoresOrder: a score is the same bits in whatever group of queries and rows it is made.
func TestCacheScoresOrder(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, width := range []int{40, 128} {
			m := newCacheProblem(cacheShape{8, 64, width}, false, func(n int) []float32 { return make([]float32, n) })
			CacheScores(m.s, m.n, m.q, width, m.rows, 8, m.n, width, nil)
			for queries := 1; queries < 8; queries++ {
				for _, n := range []int{32, 37} {
					s := make([]float32, queries*n)
					CacheScores(s, n, m.q, width, m.rows, queries, n, width, nil)
					for i := range queries {
						if isa != isaGo && !slices.Equal(s[i*n:(i+1)*n], m.s[i*m.n:i*m.n+n]) {
							t.Errorf("width %d, %d queries, %d rows: other scores of query %d than among 8 queries and 64 rows", width, queries, n, i)
						}
					}
				}
			}
		}
	})
}

// TestRotateRows compares with the turn of one row after the other.
func TestRotateRows(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, half := range []int{1, 5, 8, 16, 24, 64} {
			const rows = 5
			rng := rand.New(rand.NewPCG(4, uint64(half)))
			src, cos, sin := randomValues(rng, 2*rows*half, false), randomValues(rng, rows*half, false), randomValues(rng, rows*half, false)
			dst := make([]float32, len(src))
			RotateRows(dst, src, cos, sin, rows, half)
			for i := range rows {
				for j := range half {
					a, b := float64(src[2*i*half+j]), float64(src[2*i*half+half+j])
					c, s := float64(cos[i*half+j]), float64(sin[i*half+j])
					size := (math.Abs(a) + math.Abs(b)) * (math.Abs(c) + math.Abs(s))
					if x, y := dst[2*i*half+j], dst[2*i*half+half+j]; !nearSum(x, a*c-b*s, size) || !nearSum(y, b*c+a*s, size) {
						t.Fatalf("half %d row %d pair %d: %v, %v, want %v, %v", half, i, j, x, y, a*c-b*s, b*c+a*s)
					}
				}
			}
		}
	})
}
