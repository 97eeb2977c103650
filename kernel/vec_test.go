package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// lengths cover empty slices, every tail of one AVX-512 round, several rounds, and more than one assembly call.
var lengths = []int{0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 47, 63, 64, 65, 100, 127, 129, 255, 257, 1000, 1<<16 + 35}

// elementwise is one kernel of the tables: outs slices computed element by element from ins slices.
type elementwise struct {
	name      string
	ins, outs int
	run       func(out, in [][]float32)
	want      func(in []float64) []float64 // one element
	tolerance float64                      // relative to the result, and absolute below 1
	terms     func(in []float64) float64   // size of the terms that may cancel in the result; the tolerance is relative to it; NaN for any answer
	inPlace   [][2]int                     // outputs that may share an input's memory: {output, input}
	finite    bool                         // skip the special values: no single right answer
}

var basicKernels = []elementwise{
	{name: "Add", ins: 2, outs: 1, inPlace: [][2]int{{0, 0}, {0, 1}}, tolerance: 1e-7,
		run:  func(out, in [][]float32) { Add(out[0], in[0], in[1]) },
		want: func(in []float64) []float64 { return []float64{in[0] + in[1]} }},
	{name: "Mul", ins: 2, outs: 1, inPlace: [][2]int{{0, 0}, {0, 1}}, tolerance: 1e-7,
		run:  func(out, in [][]float32) { Mul(out[0], in[0], in[1]) },
		want: func(in []float64) []float64 { return []float64{in[0] * in[1]} }},
	{name: "Axpy", ins: 2, outs: 1, tolerance: 1e-6, finite: true,
		run:  func(out, in [][]float32) { copy(out[0], in[1]); Axpy(0.75, in[0], out[0]) },
		want: func(in []float64) []float64 { return []float64{in[1] + 0.75*in[0]} }},
	{name: "Scale", ins: 1, outs: 1, tolerance: 1e-7,
		run:  func(out, in [][]float32) { copy(out[0], in[0]); Scale(-1.5, out[0]) },
		want: func(in []float64) []float64 { return []float64{-1.5 * in[0]} }},
	{name: "Exp", ins: 1, outs: 1, inPlace: [][2]int{{0, 0}}, tolerance: 1.3e-7,
		run:  func(out, in [][]float32) { Exp(out[0], in[0]) },
		want: func(in []float64) []float64 { return []float64{math.Exp(in[0])} }},
	{name: "ExpShift", ins: 1, outs: 1, inPlace: [][2]int{{0, 0}}, tolerance: 1e-5, finite: true,
		run:  func(out, in [][]float32) { ExpShift(out[0], in[0], 0.5, 1.25) },
		want: func(in []float64) []float64 { return []float64{math.Exp(0.5*in[0] - 1.25)} }},
	{name: "SoftmaxGradRow", ins: 2, outs: 1, inPlace: [][2]int{{0, 0}, {0, 1}}, tolerance: 1e-6, finite: true,
		run:  func(out, in [][]float32) { SoftmaxGradRow(out[0], in[0], in[1], 0.25, 2) },
		want: func(in []float64) []float64 { return []float64{2 * in[0] * (in[1] - 0.25)} }},
	{name: "Rotate", ins: 4, outs: 2, tolerance: 3e-7, finite: true, terms: sumOfProducts,
		run: func(out, in [][]float32) {
			copy(out[0], in[0])
			copy(out[1], in[1])
			Rotate(out[0], out[1], in[2], in[3], false)
		},
		want: func(in []float64) []float64 { return []float64{in[0]*in[2] - in[1]*in[3], in[1]*in[2] + in[0]*in[3]} }},
	{name: "Rotate inverse", ins: 4, outs: 2, tolerance: 3e-7, finite: true, terms: sumOfProducts,
		run: func(out, in [][]float32) {
			copy(out[0], in[0])
			copy(out[1], in[1])
			Rotate(out[0], out[1], in[2], in[3], true)
		},
		want: func(in []float64) []float64 { return []float64{in[0]*in[2] + in[1]*in[3], in[1]*in[2] - in[0]*in[3]} }},
	{name: "ColSum of 4 rows", ins: 5, outs: 1, tolerance: 1e-6, finite: true,
		run: func(out, in [][]float32) {
			copy(out[0], in[4])
			x := slices.Concat(in[:4]...)
			ColSum(out[0], x, 4, len(out[0]), true)
		},
		want: func(in []float64) []float64 { return []float64{in[0] + in[1] + in[2] + in[3] + in[4]} }},
}

func TestElementwise(t *testing.T) {
	for _, k := range slices.Concat(basicKernels, activationKernels) {
		t.Run(k.name, func(t *testing.T) { eachISA(t, k.check) })
	}
}

// check compares a kernel with its definition in float64 over all lengths, out of place and in place.
func (k elementwise) check(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range lengths {
		in := make([][]float32, k.ins)
		for i := range in {
			in[i] = randomValues(rng, n, !k.finite)
		}
		want, scales := k.expected(in, n)
		k.compare(t, n, -1, in, want, scales, func(out [][]float32) { k.run(out, in) })
		for _, p := range k.inPlace {
			out, from := p[0], p[1]
			k.compare(t, n, from, in, want, scales, func(outs [][]float32) {
				copy(outs[out], in[from])
				shared := slices.Clone(in)
				shared[from] = outs[out]
				k.run(outs, shared)
			})
		}
	}
}

func (k elementwise) expected(in [][]float32, n int) (want [][]float64, scales []float64) {
	want, scales = make([][]float64, k.outs), make([]float64, n)
	element := make([]float64, k.ins)
	for i := range n {
		for j := range in {
			element[j] = float64(in[j][i])
		}
		for o, v := range k.want(element) {
			want[o] = append(want[o], v)
		}
		if k.terms != nil {
			scales[i] = k.terms(element)
		}
	}
	return want, scales
}

// compare runs a kernel on outputs between guard values and checks outputs, guards and untouched inputs.
func (k elementwise) compare(t *testing.T, n, shared int, in [][]float32, want [][]float64, scales []float64, run func(out [][]float32)) {
	t.Helper()
	const guard, pad = 12345, 40
	before := make([][]float32, len(in))
	for i := range in {
		before[i] = slices.Clone(in[i])
	}
	whole, out := make([][]float32, k.outs), make([][]float32, k.outs)
	for o := range out {
		whole[o] = slices.Repeat([]float32{guard}, n+2*pad)
		out[o] = whole[o][pad : pad+n]
	}
	run(out)
	for o := range out {
		for i, got := range out[o] {
			if !math.IsNaN(scales[i]) && !near(float64(got), want[o][i], scales[i], k.tolerance) {
				args := make([]float32, len(before))
				for j := range before {
					args[j] = before[j][i]
				}
				t.Fatalf("%s, n = %d, shared input %d: output %d at %d of %v: got %v, want %v", k.name, n, shared, o, i, args, got, want[o][i])
			}
		}
		for i, v := range whole[o] {
			if (i < pad || i >= pad+n) && v != guard {
				t.Fatalf("%s, n = %d: wrote outside the slice, at %d", k.name, n, i-pad)
			}
		}
	}
	for i := range in {
		if !sameBits(in[i], before[i]) {
			t.Fatalf("%s, n = %d: changed input %d", k.name, n, i)
		}
	}
}

// near compares in float32's terms: NaN equals NaN, a value past float32's range equals Inf, subnormals have an absolute error.
// The tolerance is relative to the largest of |want|, scale and, unless it is that of one rounding, 1.
func near(got, want, scale, tolerance float64) bool {
	if math.IsNaN(want) {
		return math.IsNaN(got)
	}
	if w := float64(float32(want)); math.IsInf(w, 0) {
		return got == w || math.Abs(got) >= math.MaxFloat32*(1-1e-6) && math.Signbit(got) == math.Signbit(want)
	}
	if scale = max(scale, math.Abs(want)); math.IsInf(scale, 0) {
		scale = math.Abs(want)
	}
	if tolerance > 2e-7 {
		scale = max(scale, 1)
	}
	return math.Abs(got-want) <= tolerance*scale+1.5*math.SmallestNonzeroFloat32
}

// sumOfProducts is the size of the terms of a rotation.
func sumOfProducts(in []float64) float64 {
	return (math.Abs(in[0]) + math.Abs(in[1])) * (math.Abs(in[2]) + math.Abs(in[3]))
}

// gradientTerms is the size of the terms dy and dy*x of an activation's gradient. An infinite dy times a slope that is tiny in
// float64 and 0 in float32 has no right answer: NaN.
func gradientTerms(in []float64) float64 {
	if math.IsInf(in[0], 0) {
		return math.NaN()
	}
	if s := math.Abs(in[0]) * (1 + math.Abs(in[1])); s > 0 {
		return s
	}
	return 0 // NaN inputs have a right answer
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
	})
}

// specialValues are the edges of float32 and of the exponential.
var specialValues = []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.Float32frombits(0x7fc00003), math.Float32frombits(0xffc00001), 1e38, -1e38, 3e19, -3e19, 1e-40, -1e-40, 1e-30, 88.72, 88.73, 89.5,
	-87.3, -87.5, -103.2, -103.98, -104.1, -1000, 1000, 0.625, -0.625, 0.62499, 5.5, -5.5, -13.4, 13.6}

// randomValues returns n normal values of varied size; with special, one in six is a special value.
func randomValues(rng *rand.Rand, n int, special bool) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * []float64{0.1, 1, 4}[rng.IntN(3)])
		if special && rng.IntN(6) == 0 {
			x[i] = specialValues[rng.IntN(len(specialValues))]
		}
	}
	return x
}

func TestExpAccuracy(t *testing.T) {
	// 1.2e-7 is two units in the last place at a mantissa of 1.
	const limit = 1.2e-7
	eachISA(t, func(t *testing.T) {
		const n = 1 << 20
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = -87 + float32(i)*(175.7/n)
		}
		Exp(y, x)
		worst, at := 0.0, 0
		for i := range x {
			want := math.Exp(float64(x[i]))
			if e := math.Abs(float64(y[i])-want) / want; e > worst {
				worst, at = e, i
			}
		}
		if worst > limit {
			t.Errorf("Exp(%v) = %v: relative error %.3g, want at most %g", x[at], y[at], worst, limit)
		}
	})
}

func TestAddRow(t *testing.T) {
	const rows, cols = 3, 37
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		x, row := randomValues(rng, rows*cols, false), randomValues(rng, cols, false)
		got := slices.Clone(x)
		AddRow(got, rows, cols, row)
		for i := range got {
			if want := x[i] + row[i%cols]; got[i] != want {
				t.Fatalf("AddRow at %d: got %v, want %v", i, got[i], want)
			}
		}
	})
}

func TestShortOperandPanics(t *testing.T) {
	for _, tc := range []struct {
		name string
		call func(short, long []float32)
	}{
		{"Add", func(s, l []float32) { Add(l, l, s) }},
		{"Dot", func(s, l []float32) { Dot(l, s) }},
		{"Exp", func(s, l []float32) { Exp(l, s) }},
		{"SwiGLUGrad", func(s, l []float32) { SwiGLUGrad(l, l, l, l, s) }},
		{"AdamWStep", func(s, l []float32) { AdamWStep(AdamW{Step: 1}, l, l, l, s) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("an operand shorter than the result was accepted")
				}
			}()
			long := make([]float32, 20)
			tc.call(make([]float32, 20)[:19], long) // the capacity would do, the length must not
		})
	}
}

func TestNoAllocation(t *testing.T) {
	x, y, z := make([]float32, 300), make([]float32, 300), make([]float32, 300)
	stats := make([]float32, 2)
	eachISA(t, func(t *testing.T) {
		for name, f := range map[string]func(){
			"SoftmaxRow": func() { SoftmaxRow(y, x, 1) },
			"LayerNorm":  func() { LayerNorm(y, x, z, z, stats, stats, 1, 300, 1e-5) },
			"SwiGLUGrad": func() { SwiGLUGrad(y, z, x, x, x) },
			"AdamWStep":  func() { AdamWStep(AdamW{Step: 1, GradScale: 1}, x, y, y, z) },
			"SumSquares": func() { SumSquares(x) },
		} {
			if n := testing.AllocsPerRun(10, f); n != 0 {
				t.Errorf("%s: %s allocations a call, want none", name, strconv.FormatFloat(n, 'g', -1, 64))
			}
		}
	})
}
