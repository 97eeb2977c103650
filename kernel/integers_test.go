package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// integerCase is a product and its factors.
type integerCase struct {
	m, lda, ldc int
	q           Quantized
	w           *Integers
	a, bias     []float32
}

func newIntegerCase(r *rand.Rand, bits, block, m, out, in int) *integerCase {
	p := &integerCase{m: m, lda: in + r.IntN(3), ldc: out + r.IntN(3), q: NewQuantized(bits, block, out*in)}
	values := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() * math.Exp(3*r.NormFloat64()))
		}
		return x
	}
	p.q.Quantize(values(out * in))
	p.w = NewIntegers(p.q, out, in)
	p.a, p.bias = values(m*p.lda), values(out)
	return p
}

// run is the product, as [m, Out].
func (p *integerCase) run(bias []float32) []float32 {
	c := make([]float32, p.m*p.ldc)
	for i := range c {
		c[i] = float32(math.NaN())
	}
	GemmIntegers(p.m, p.a, p.lda, p.w, bias, c, p.ldc)
	var out []float32
	for i := range p.m {
		out = append(out, c[i*p.ldc:i*p.ldc+p.w.Out]...)
	}
	return out
}

// naive is the same by its definition: a loop over integers, of codes as q has them, and float32 one operation at a time.
func (p *integerCase) naive(bias []float32) []float32 {
	out, in, piece := p.w.Out, p.w.In, p.w.piece
	top := p.q.top()
	var c []float32
	for i := range p.m {
		for j := range out {
			var y float32
			if bias != nil {
				y = bias[j]
			}
			for k := 0; k < in; k += piece {
				x := p.a[i*p.lda+k : i*p.lda+k+piece]
				var a float32
				for _, v := range x {
					a = max(a, v, -v)
				}
				sum := 0
				for h, v := range x {
					if a > 0 {
						sum += int(math.RoundToEven(float64(v*(127/a)))) * (int(p.q.code(j*in+k+h)) - top - 1)
					}
				}
				scale := float32(float64(p.q.AbsMax[(j*in+k)/p.q.Block]) / float64(top))
				t := float32(sum) * (a / 127)
				t = float32(t * scale)
				y = float32(y + t)
			}
			c = append(c, y)
		}
	}
	return c
}

// integerShapes have rows for every tile, panels that are full and not, and pieces that are a row, a part of it, and one that is no
// whole number of groups.
var integerShapes = []struct{ block, out, in int }{
	{64, 32, 64}, {64, 64, 192}, {64, 33, 128}, {64, 1, 64}, {32, 31, 96}, {16, 40, 48}, {128, 65, 128}, {100, 7, 100}, {20, 35, 60},
	{64, 16, 96}, {64, 5, 16}, {64, 3, 17}, {64, 32, 1}, {4096, 9, 33}, {256, 34, 512},
}

// TestGemmIntegers: products of any shape are those of a naive loop over integers, bit by bit, on every instruction set.
func TestGemmIntegers(t *testing.T) {
	eachIntegers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 8))
		for _, bits := range []int{8, 4} {
			for _, s := range integerShapes {
				for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 13, 16} {
					p := newIntegerCase(r, bits, s.block, m, s.out, s.in)
					if p.w.bits != bits || commonDivisor(s.in, s.block) != p.w.piece {
						continue // rounded again, see TestIntegersAgain
					}
					for _, bias := range [][]float32{nil, p.bias} {
						got, want := p.run(bias), p.naive(bias)
						for i := range want {
							if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
								t.Fatalf("%d bits, block %d, %d x %d x %d, element %d: got %g, want %g", bits, s.block, m, s.out, s.in, i, got[i], want[i])
							}
						}
					}
				}
			}
		}
	})
}

// TestIntegersExtremes: codes and activations that are the largest of their sign everywhere make the largest sums, which no
// instruction may cut off.
func TestIntegersExtremes(t *testing.T) {
	eachIntegers(t, func(t *testing.T) {
		const m, out, in = 6, 64, 1024
		for _, bits := range []int{8, 4} {
			for _, signs := range [][2]float32{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}} {
				q := NewQuantized(bits, in, out*in)
				w, a := make([]float32, out*in), make([]float32, m*in)
				for i := range w {
					w[i] = signs[0] * float32(q.top())
				}
				for i := range a {
					a[i] = signs[1] * 127
				}
				q.Quantize(w)
				c := make([]float32, m*out)
				GemmIntegers(m, a, in, NewIntegers(q, out, in), nil, c, out)
				want := signs[0] * signs[1] * 127 * float32(q.top()) * in
				if i := slices.IndexFunc(c, func(x float32) bool { return x != want }); i >= 0 {
					t.Errorf("%d bits, signs %g: got %g, want %g", bits, signs, c[i], want)
				}
			}
		}
	})
}

// TestIntegersSame: an element has the same bits whatever shares its product and however many threads compute it.
func TestIntegersSame(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	for _, bits := range []int{8, 4} {
		p := newIntegerCase(r, bits, 64, 900, 200, 640)
		var want []float32
		for _, threads := range []int{1, 2, 3} {
			old := Threads()
			SetThreads(threads)
			got := p.run(p.bias)
			one := *p
			one.m, one.a = 1, p.a[777*p.lda:]
			alone := one.run(p.bias)
			SetThreads(old)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d bits: %d threads differ from 1", bits, threads)
			}
			if !slices.Equal(alone, want[777*200:778*200]) {
				t.Errorf("%d bits, %d threads: a row alone differs from the same among others", bits, threads)
			}
		}
	}
}

// TestIntegersError: a product is as near to that of the values as the rounding of activations says.
func TestIntegersError(t *testing.T) {
	eachIntegers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 8))
		for _, bits := range []int{8, 4} {
			p := newIntegerCase(r, bits, 64, 5, 40, 256)
			got := p.run(nil)
			w := make([]float64, p.q.Elements)
			Dequantize(w, p.q)
			for i := range p.m {
				for j := range 40 {
					var want, bound float64
					for k := 0; k < 256; k += 64 {
						var a, b float64
						for h := range 64 {
							x, y := float64(p.a[i*p.lda+k+h]), w[j*256+k+h]
							want += x * y
							a, b = max(a, math.Abs(x)), b+math.Abs(y)
						}
						bound += a / 254 * b * (1 + 1e-4)
					}
					if d := math.Abs(float64(got[i*40+j]) - want); d > bound {
						t.Errorf("%d bits, row %d, column %d: off by %g, at most %g wanted", bits, i, j, d, bound)
					}
				}
			}
		}
	})
}

// TestIntegersRows: rows are the values of the codes, with one rounding of their own.
func TestIntegersRows(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8))
	for _, bits := range []int{8, 4} {
		for _, s := range integerShapes {
			p := newIntegerCase(r, bits, s.block, 1, s.out, s.in)
			want, got := make([]float32, p.q.Elements), make([]float32, s.in)
			Dequantize(want, p.q)
			loss := 3e-7
			if p.w.bits != bits || commonDivisor(s.in, s.block) != p.w.piece {
				loss = 1.0 / 200 // of the largest of a row, rounded to 8 bits again
			}
			for i := range s.out {
				p.w.Row(got, i)
				var top float32
				row := want[i*s.in : (i+1)*s.in]
				for _, x := range row {
					top = max(top, x, -x)
				}
				for k, x := range row {
					if math.Abs(float64(x-got[k])) > loss*float64(top) {
						t.Fatalf("%d bits, block %d, row %d of %d x %d, column %d: got %g, want %g", bits, s.block, i, s.out, s.in, k, got[k], x)
					}
				}
			}
		}
	}
}

// TestIntegersRound: rows of activations are rounded alike on every instruction set, with numbers that have no scale, too.
func TestIntegersRound(t *testing.T) {
	w := NewIntegers(Quantized{Bits: 8, Block: 64, Elements: 64}, 1, 64)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	first := map[string][]byte{}
	eachISA(t, func(t *testing.T) {
		for name, x := range map[string]float32{"largest": math.MaxFloat32, "smallest": math.SmallestNonzeroFloat32, "least": leastMagnitude, "below": leastMagnitude / 2, "half": 0.5, "zero": 0} {
			row := make([]float32, 64)
			for i := range row {
				row[i] = x * ((float32(i) - 31) / 32)
			}
			row[0] = x
			got := make([]byte, w.rowBytes())
			w.roundRow(got, row)
			if first[name] == nil {
				first[name] = got
			} else if !slices.Equal(first[name], got) {
				t.Errorf("%s: rounded to % x, in Go to % x", name, got, first[name])
			}
		}
		for _, x := range []float32{inf, -inf, nan} {
			row := make([]float32, 64)
			row[17] = x
			q := NewQuantized(8, 64, 64)
			c := []float32{1}
			GemmIntegers(1, row, 64, NewIntegers(q, 1, 64), nil, c, 1)
			if c[0] == c[0] {
				t.Errorf("a row with %g: got %g, want no number", x, c[0])
			}
		}
	})
}

// TestIntegersPlan: a plan counts the bytes of what it plans.
func TestIntegersPlan(t *testing.T) {
	for _, s := range integerShapes {
		q := NewQuantized(4, s.block, s.out*s.in)
		w, plan := NewIntegers(q, s.out, s.in), NewIntegers(Quantized{Bits: 4, Block: s.block, Elements: s.out * s.in}, s.out, s.in)
		if w.Bytes() != plan.Bytes() || w.Bytes() != len(w.codes)+4*len(w.scales) || plan.codes != nil {
			t.Errorf("block %d, %d x %d: %d bytes planned, %d made, want %d", s.block, s.out, s.in, plan.Bytes(), w.Bytes(), len(w.codes)+4*len(w.scales))
		}
	}
}

func TestIntegersChecks(t *testing.T) {
	q := NewQuantized(8, 64, 128)
	w := NewIntegers(q, 2, 64)
	for name, f := range map[string]func(){
		"elements": func() { NewIntegers(q, 3, 64) },
		"rows":     func() { GemmIntegers(-1, nil, 64, w, nil, nil, 2) },
		"bias":     func() { GemmIntegers(1, make([]float32, 64), 64, w, make([]float32, 3), make([]float32, 2), 2) },
		"a":        func() { GemmIntegers(2, make([]float32, 64), 64, w, nil, make([]float32, 4), 2) },
		"c":        func() { GemmIntegers(2, make([]float32, 128), 64, w, nil, make([]float32, 3), 2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestIntegersAllocateNothing(t *testing.T) {
	p := newIntegerCase(rand.New(rand.NewPCG(5, 8)), 8, 64, 3, 70, 128)
	c := make([]float32, p.m*p.ldc)
	run := func() { GemmIntegers(p.m, p.a, p.lda, p.w, p.bias, c, p.ldc) }
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("a product allocates %g times", n)
	}
}

// FuzzGemmIntegers compares products of any size with the naive loop, on every instruction set.
func FuzzGemmIntegers(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(40), uint8(64), uint8(64), true)
	f.Add(uint64(2), uint8(17), uint8(1), uint8(32), uint8(16), false)
	f.Fuzz(func(t *testing.T, seed uint64, m, out, in, block uint8, few bool) {
		bits := 8
		if few {
			bits = 4
		}
		if in == 0 || block < 8 {
			t.Skip()
		}
		r := rand.New(rand.NewPCG(seed, 9))
		p := newIntegerCase(r, bits, int(block), int(m%40), int(out), int(in))
		again := p.w.bits != bits || commonDivisor(int(in), int(block)) != p.w.piece
		var first []float32
		eachIntegers(t, func(t *testing.T) {
			got := p.run(p.bias)
			if first == nil {
				first = got
				if want := p.naive(p.bias); !again && !slices.Equal(got, want) {
					t.Fatal("differs from the naive loop")
				}
			}
			if !slices.Equal(got, first) {
				t.Fatal("differs from Go")
			}
		})
	})
}

// BenchmarkIntegers reports billions of operations a second and the ratio of the time to that of float32.
func BenchmarkIntegers(b *testing.B) {
	for _, bits := range []int{8, 4} {
		for _, m := range []int{1, 2, 4, 8, 16, 128, 512} {
			for _, s := range [][2]int{{576, 576}, {1536, 576}, {576, 1536}, {384, 384}} {
				out, in := s[0], s[1]
				p := newIntegerCase(rand.New(rand.NewPCG(5, 8)), bits, 64, m, out, in)
				p.lda, p.ldc = in, out
				c, w := make([]float32, m*out), make([]float32, out*in)
				Dequantize(w, p.q)
				b.Run(fmt.Sprintf("int%d/%dx%dx%d", bits, m, out, in), func(b *testing.B) {
					for b.Loop() {
						GemmIntegers(m, p.a, in, p.w, nil, c, out)
					}
					b.ReportMetric(2*float64(m*out*in)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "Gop/s")
				})
				if bits == 4 {
					continue
				}
				b.Run(fmt.Sprintf("float32/%dx%dx%d", m, out, in), func(b *testing.B) {
					for b.Loop() {
						Gemm(false, true, m, out, in, 1, p.a, in, w, in, 0, c, out)
					}
					b.ReportMetric(2*float64(m*out*in)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "Gop/s")
				})
			}
		}
	}
}
