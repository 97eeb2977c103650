package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestIntegersStayInside multiplies weights, activations and a bias that end at forbidden pages, into sums that do: a read or
// write past the end kills the test.
func TestIntegersStayInside(t *testing.T) {
	eachIntegers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(6, 8))
		for _, bits := range []int{8, 4} {
			for _, s := range integerShapes {
				for _, m := range []int{1, 2, 5, 6, 13} {
					p := newIntegerCase(r, bits, s.block, m, s.out, s.in)
					want := p.run(p.bias)
					codes, scales := guarded[uint8](t, len(p.w.codes)), guarded[float32](t, len(p.w.scales))
					copy(codes, p.w.codes)
					copy(scales, p.w.scales)
					p.w.codes, p.w.scales = codes, scales
					a, c := guarded[float32](t, (m-1)*p.lda+s.in), guarded[float32](t, (m-1)*p.ldc+s.out)
					copy(a, p.a)
					GemmIntegers(m, a, p.lda, p.w, p.bias, c, p.ldc)
					for i := range want {
						if c[i/s.out*p.ldc+i%s.out] != want[i] {
							t.Fatalf("%d bits, block %d, %d x %d x %d: differs elsewhere in memory", bits, s.block, m, s.out, s.in)
						}
					}
				}
			}
		}
	})
}

// TestIntegerKernelsStayInside gives kernels rounded rows, a panel and sums that end at forbidden pages.
func TestIntegerKernelsStayInside(t *testing.T) {
	eachIntegers(t, func(t *testing.T) {
		const out, in = panelRows, 128
		level := integersOf(isa)
		for _, bits := range []int{8, 4} {
			for rows := 1; rows <= level.tileRows(); rows++ {
				const tiles = 2
				p := newIntegerCase(rand.New(rand.NewPCG(7, 8)), bits, 64, rows*tiles, out, in)
				size := p.w.rowBytes()
				x, c, bias := guarded[uint8](t, rows*tiles*size), guarded[float32](t, rows*tiles*out), guarded[float32](t, out)
				for i := range rows * tiles {
					row := guarded[float32](t, in)
					copy(row, p.a[i*p.lda:])
					p.w.roundRow(x[i*size:(i+1)*size], row)
				}
				copy(bias, p.bias)
				args := integerArgs{
					codes: unsafe.Pointer(&p.w.codes[0]), scales: unsafe.Pointer(&p.w.scales[0]), x: unsafe.Pointer(&x[0]), c: unsafe.Pointer(&c[0]), bias: unsafe.Pointer(&bias[0]),
					ldx: uintptr(size), ldc: 4 * out, pieces: p.w.pieces, pairs: p.w.pairs, rows: rows, tiles: tiles,
				}
				integerProduct(level, bits, &args)
				for i, want := range p.run(p.bias) {
					if c[i] != want {
						t.Fatalf("%d bits, tiles of %d rows: differs elsewhere in memory", bits, rows)
					}
				}
			}
		}
	})
}
