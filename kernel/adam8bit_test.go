package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// codeOf is the code of a number.
func codeOf(b *codebook8, x float32) uint8 { return b.code(rankOf(math.Float32bits(x))) }

// nearest8 is the linear search that the table of cells replaces.
func nearest8(b *codebook8, x float32) int {
	best, distance := 0, math.Inf(1)
	for i, c := range b.value {
		d := math.Abs(float64(c) - float64(x))
		if d < distance {
			best, distance = i, d
		}
	}
	return best
}

func nearestSigned8(x float32) uint8 {
	c := nearest8(signedBook, x)
	if math.Signbit(float64(x)) && signedBook.value[c] >= 0 {
		c--
	}
	return uint8(c)
}

func TestCodebooks8(t *testing.T) {
	for name, b := range map[string]*codebook8{"signed": signedBook, "unsigned": unsignedBook} {
		negative, zero := 0, 0
		for i, c := range b.value {
			if i > 0 && c <= b.value[i-1] {
				t.Errorf("%s: code %d is %v, code %d is %v: want ascending", name, i-1, b.value[i-1], i, c)
			}
			if c < 0 {
				negative++
			}
			if c == 0 {
				zero++
			}
		}
		want := map[string]int{"signed": 127, "unsigned": 0}[name]
		if negative != want || zero != 1 || b.value[255] != 1 || int(codeOf(b, 0)) != want {
			t.Errorf("%s: %d negative codes, %d zero, last %v, zero at %d; want %d, 1, 1, %d", name, negative, zero, b.value[255], codeOf(b, 0), want, want)
		}
	}
	// Hand-computed: [0.1, 1] whole, times 1e-6; its upper half; the last of 64 and of 128 parts.
	for _, c := range []struct {
		name string
		got  float32
		want float64
	}{
		{"smallest signed above 0", signedBook.value[signedZero+1], 0.55e-6},
		{"second signed above 0", signedBook.value[signedZero+2], 0.325e-5},
		{"largest signed below 1", signedBook.value[254], 1 - 0.9/128},
		{"smallest signed", signedBook.value[0], -(1 - 0.9/128)},
		{"smallest unsigned above 0", unsignedBook.value[1], 0.325e-6},
		{"second unsigned above 0", unsignedBook.value[2], 0.775e-6},
		{"largest unsigned below 1", unsignedBook.value[254], 1 - 0.9/256},
	} {
		if math.Abs(float64(c.got)-c.want) > 1e-7*math.Abs(c.want) {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestQuantiseOfCodesIsTheIdentity(t *testing.T) {
	for i := range 256 {
		if got := codeOf(signedBook, signedBook.value[i]); int(got) != i {
			t.Errorf("signed(code %d) = %d", i, got)
		}
		if got := codeOf(unsignedBook, unsignedBook.value[i]); int(got) != i {
			t.Errorf("unsigned(code %d) = %d", i, got)
		}
	}
}

// Within a cell the code changes only at a threshold, and codes rise with x: checking both ends of every cell and both sides
// of every threshold checks every float32 in [0, 1].
func TestNearestCodeEverywhere(t *testing.T) {
	check := func(x float32) {
		t.Helper()
		if x < 0 || x > 1 {
			return
		}
		if got, want := int(codeOf(unsignedBook, x)), nearest8(unsignedBook, x); got != want {
			t.Fatalf("unsigned(%v) = %d, nearest is %d", x, got, want)
		}
		for _, x := range []float32{x, -x} {
			if got, want := codeOf(signedBook, x), nearestSigned8(x); got != want {
				t.Fatalf("signed(%v) = %d, nearest is %d", x, got, want)
			}
		}
	}
	for bits := uint32(0); bits <= math.Float32bits(1); bits += 1 << 16 {
		check(math.Float32frombits(bits))
		check(math.Float32frombits(bits + 1<<16 - 1))
	}
	for _, b := range []*codebook8{signedBook, unsignedBook} {
		for i := range 255 {
			middle := uint32(math.Float32bits((b.value[i] + b.value[i+1]) / 2))
			for d := range uint32(7) {
				check(math.Float32frombits(middle + d - 3))
			}
		}
	}
	r := rand.New(rand.NewPCG(8, 1))
	for range 200_000 {
		check(math.Float32frombits(r.Uint32N(math.Float32bits(1) + 1))) // every magnitude alike
		check(r.Float32())
	}
	for _, x := range []float32{1, math.Nextafter32(1, 2), 1.5, float32(math.Inf(1))} {
		if s, u := codeOf(signedBook, x), codeOf(unsignedBook, x); s != 255 || u != 255 {
			t.Errorf("codes of %v are %d and %d, want 255", x, s, u)
		}
	}
}

func randoms[T Float](r *rand.Rand, n int, scale float64) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(scale * r.NormFloat64() * math.Exp(2*r.NormFloat64()))
	}
	return x
}

// adam8bitOracle is one step written from the equations, element by element in float64, with linear searches.
func adam8bitOracle[T Float](p AdamW, block int, w []T, s AdamW8bitState, g []T) {
	c1, c2 := 1-math.Pow(p.Beta1, float64(p.Step)), math.Sqrt(1-math.Pow(p.Beta2, float64(p.Step)))
	for b := range s.MeanMax {
		lo, hi := b*block, min(len(w), (b+1)*block)
		s1, s2 := make([]float64, hi-lo), make([]float64, hi-lo)
		var max1, max2 float64
		for i := lo; i < hi; i++ {
			d := float64(g[i]) * p.GradScale
			if math.IsNaN(d) || math.IsInf(d, 0) {
				continue
			}
			m := p.Beta1*float64(signedBook.value[s.Mean[i]])*float64(s.MeanMax[b]) + (1-p.Beta1)*d
			v := p.Beta2*float64(unsignedBook.value[s.Square[i]])*float64(s.SquareMax[b]) + (1-p.Beta2)*d*d
			w[i] = T((float64(w[i]) - p.LearningRate*c2/c1*m/(math.Sqrt(v)+c2*p.Eps)) * (1 - p.LearningRate*p.WeightDecay))
			s1[i-lo], s2[i-lo] = m, v
			max1, max2 = max(max1, math.Abs(m)), max(max2, v)
		}
		s.MeanMax[b], s.SquareMax[b] = float32(max1), float32(max2)
		for i := lo; i < hi; i++ {
			s.Mean[i], s.Square[i] = signedZero, 0
			if max1 > 0 {
				s.Mean[i] = nearestSigned8(float32(s1[i-lo] / max1))
			}
			if max2 > 0 {
				s.Square[i] = uint8(nearest8(unsignedBook, float32(s2[i-lo]/max2)))
			}
		}
	}
}

func cloneState8(s AdamW8bitState) AdamW8bitState {
	c := NewAdamW8bitState(len(s.Mean), (len(s.Mean)+len(s.MeanMax)-1)/len(s.MeanMax))
	copy(c.Mean, s.Mean)
	copy(c.Square, s.Square)
	c.MeanMax = append([]float32(nil), s.MeanMax...)
	c.SquareMax = append([]float32(nil), s.SquareMax...)
	return c
}

// codesDiffer counts codes that are not equal; more than one code of distance is reported as all.
func codesDiffer(a, b []uint8) int {
	n := 0
	for i := range a {
		switch d := int(a[i]) - int(b[i]); {
		case d == 1 || d == -1:
			n++
		case d != 0:
			return len(a)
		}
	}
	return n
}

func testAdam8bitOracle[T Float](t *testing.T, tolerance float64) {
	const block = 64
	for _, n := range []int{1, 63, 64, 1000, 4096} {
		r := rand.New(rand.NewPCG(uint64(n), 2))
		p := AdamW{LearningRate: 1e-2, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.3, GradScale: 0.5}
		w, s := randoms[T](r, n, 1), NewAdamW8bitState(n, block)
		for p.Step = 1; p.Step <= 20; p.Step++ {
			g := randoms[T](r, n, math.Exp(3*r.NormFloat64()))
			if n > 100 {
				g[17], g[n/2], g[n-1] = T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1))
				clear(g[64:128]) // whole blocks of zero at the first step
			}
			wantW, want := append([]T(nil), w...), cloneState8(s)
			adam8bitOracle(p, block, wantW, want, g)
			AdamW8bitStep(p, block, w, s, g)
			for i := range w {
				if d := math.Abs(float64(w[i] - wantW[i])); !(d <= tolerance*(1+math.Abs(float64(w[i])))) {
					t.Fatalf("n %d step %d: weight %d is %v, want %v (gradient %v)", n, p.Step, i, w[i], wantW[i], g[i])
				}
			}
			for b := range s.MeanMax {
				for _, x := range [][2]float32{{s.MeanMax[b], want.MeanMax[b]}, {s.SquareMax[b], want.SquareMax[b]}} {
					if d := math.Abs(float64(x[0] - x[1])); !(d <= 1e-6*float64(x[1])) {
						t.Fatalf("n %d step %d: scale of block %d is %v, want %v", n, p.Step, b, x[0], x[1])
					}
				}
			}
			// A quotient within rounding of a threshold may fall on its other side.
			if a, b := codesDiffer(s.Mean, want.Mean), codesDiffer(s.Square, want.Square); a > 1+n/1000 || b > 1+n/1000 {
				t.Fatalf("n %d step %d: %d codes of means and %d of squares differ", n, p.Step, a, b)
			}
		}
	}
}

func TestAdamW8bitEqualsItsEquations(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testAdam8bitOracle[float32](t, 1e-6) })
	t.Run("float64", func(t *testing.T) { testAdam8bitOracle[float64](t, 1e-12) })
}

func TestAdamW8bitFirstStepIsAdamW(t *testing.T) {
	const n = 5000
	r := rand.New(rand.NewPCG(3, 3))
	p := AdamW{LearningRate: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: 1, GradScale: 1}
	w, g := randoms[float32](r, n, 1), randoms[float32](r, n, 1)
	want, m, v := append([]float32(nil), w...), make([]float32, n), make([]float32, n)
	AdamWStep(p, want, m, v, g)
	AdamW8bitStep(p, 256, w, NewAdamW8bitState(n, 256), g)
	for i := range w {
		if w[i] != want[i] {
			t.Fatalf("weight %d is %v, of 32-bit Adam %v", i, w[i], want[i])
		}
	}
}

// Gradients whose moments are denormal numbers or overflow must leave numbers everywhere.
func TestAdamW8bitExtremes(t *testing.T) {
	for _, c := range []struct {
		name string
		g    float32
	}{{"denormal mean", 1e-44}, {"denormal square", 1e-20}, {"zero", 0}, {"negative zero", float32(math.Copysign(0, -1))}, {"overflowing square", 1e30}, {"largest", math.MaxFloat32}} {
		t.Run(c.name, func(t *testing.T) {
			const n = 300
			w, s, g := make([]float32, n), NewAdamW8bitState(n, 256), make([]float32, n)
			for i := range g {
				g[i] = c.g * float32(1-2*(i%2)) / float32(1+i%5)
			}
			for step := 1; step <= 5; step++ {
				AdamW8bitStep(AdamW{LearningRate: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: step, GradScale: 1}, 256, w, s, g)
			}
			if !AllFinite(w) || !AllFinite(s.MeanMax) || !AllFinite(s.SquareMax) {
				t.Errorf("weights %v..., scales %v, %v", w[:8], s.MeanMax, s.SquareMax)
			}
			for i, q := range s.Mean {
				if v := signedBook.value[q] * s.MeanMax[i/256]; v*g[i] < 0 {
					t.Fatalf("element %d: mean %v of gradients %v", i, v, g[i])
				}
			}
		})
	}
}

func TestAdamW8bitInPieces(t *testing.T) {
	const n, block = 1000, 64
	r := rand.New(rand.NewPCG(4, 4))
	w, g := randoms[float32](r, n, 1), randoms[float32](r, n, 1)
	pieces := append([]float32(nil), w...)
	s, ps := NewAdamW8bitState(n, block), NewAdamW8bitState(n, block)
	for step := 1; step <= 3; step++ {
		p := AdamW{LearningRate: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Step: step, GradScale: 1}
		AdamW8bitStep(p, block, w, s, g)
		for _, lo := range []int{640, 0, 320, 960} {
			hi := min(n, lo+320)
			AdamW8bitStep(p, block, pieces[lo:hi], ps.Slice(block, lo, hi), g[lo:hi])
		}
		for i := range w {
			if w[i] != pieces[i] || s.Mean[i] != ps.Mean[i] || s.Square[i] != ps.Square[i] {
				t.Fatalf("step %d: element %d differs", step, i)
			}
		}
	}
}

func BenchmarkAdamW8bit(b *testing.B) {
	const n = 1 << 20
	r := rand.New(rand.NewPCG(5, 5))
	w, g, s := randoms[float32](r, n, 1), randoms[float32](r, n, 1e-3), NewAdamW8bitState(n, 256)
	for step := 1; b.Loop(); step++ {
		AdamW8bitStep(AdamW{LearningRate: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Step: step, GradScale: 1}, 256, w, s, g)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
}
