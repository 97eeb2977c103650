package kernel

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// sameBitsKernels are all kernels whose float32 results must not depend on whether AVX2 or AVX-512 computed them. Each
// returns what it computed from x, y and z of equal length.
var sameBitsKernels = []struct {
	name string
	run  func(x, y, z []float32) []float32
}{
	{"Dot", func(x, y, _ []float32) []float32 { return []float32{Dot(x, y)} }},
	{"Sum", func(x, _, _ []float32) []float32 { return []float32{Sum(x)} }},
	{"MaxValue", func(x, _, _ []float32) []float32 { return []float32{MaxValue(x)} }},
	{"LogSumExp", func(x, _, _ []float32) []float32 { return []float32{LogSumExp(x, 0.5)} }},
	{"SoftmaxRow", func(x, _, _ []float32) []float32 {
		p := make([]float32, len(x))
		lse := SoftmaxRow(p, x, 0.5)
		return append(p, lse)
	}},
	{"LayerNorm", func(x, y, z []float32) []float32 {
		n := len(x)
		out, mean, rstd := make([]float32, n), make([]float32, 1), make([]float32, 1)
		LayerNorm(out, x, y, z, mean, rstd, 1, n, 1e-5)
		dx, dw, db := make([]float32, n), make([]float32, n), make([]float32, n)
		LayerNormGrad(dx, dw, db, z, x, y, mean, rstd, 1, n)
		return slices.Concat(out, mean, rstd, dx, dw, db)
	}},
	{"AdamW", func(x, y, z []float32) []float32 {
		w, m, v := slices.Clone(x), slices.Clone(y), slices.Clone(z)
		AdamWStep(AdamW{LearningRate: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Step: 2, GradScale: 0.5}, w, m, v, x)
		return slices.Concat(w, m, v)
	}},
}

// computeAll runs every kernel and returns the results by name.
func computeAll(x, y, z []float32) map[string][]float32 {
	all := map[string][]float32{}
	for _, k := range sameBitsKernels {
		all[k.name] = k.run(x, y, z)
	}
	in := [][]float32{x, y, z, y, x}
	for _, k := range slices.Concat(basicKernels, activationKernels) {
		out := make([][]float32, k.outs)
		for i := range out {
			out[i] = make([]float32, len(x))
		}
		k.run(out, in[:k.ins])
		all[k.name] = slices.Concat(out...)
	}
	return all
}

// FuzzVectorKernels feeds arbitrary bits to every kernel: AVX2 and AVX-512 must agree to the bit, the exponential must be right
// on every instruction set, and a softmax without NaN or +Inf must be a distribution.
func FuzzVectorKernels(f *testing.F) {
	var special []byte
	for _, v := range specialValues {
		special = binary.LittleEndian.AppendUint32(special, math.Float32bits(v))
	}
	f.Add(special)
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xff, 0, 0, 0x20, 0xc1})
	ramp := make([]byte, 0, 1200)
	for i := range 300 {
		ramp = binary.LittleEndian.AppendUint32(ramp, math.Float32bits(float32(i-150)*0.7))
	}
	f.Add(ramp)
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []float32
		for ; len(data) >= 4 && len(all) < 3000; data = data[4:] {
			all = append(all, math.Float32frombits(binary.LittleEndian.Uint32(data)))
		}
		n := len(all) / 3
		x, y, z := all[:n], all[n:2*n], all[2*n:3*n]
		var avx2 map[string][]float32
		eachISA(t, func(t *testing.T) {
			checkExp(t, all)
			checkDistribution(t, all)
			switch isa {
			case isaAVX2:
				avx2 = computeAll(x, y, z)
			case isaAVX512:
				for name, got := range computeAll(x, y, z) {
					if !sameBits(got, avx2[name]) {
						t.Errorf("%s of %v, %v, %v: avx512 gives %v, avx2 %v", name, x, y, z, got, avx2[name])
					}
				}
			}
		})
	})
}

func checkExp(t *testing.T, x []float32) {
	t.Helper()
	y := make([]float32, len(x))
	Exp(y, x)
	for i, v := range x {
		if want := math.Exp(float64(v)); !near(float64(y[i]), want, 0, 1.3e-7) {
			t.Errorf("Exp(%v) = %v, want %v", v, y[i], want)
		}
	}
}

func checkDistribution(t *testing.T, x []float32) {
	t.Helper()
	allMasked := true
	for _, v := range x {
		if v != v || math.IsInf(float64(v), 1) {
			return
		}
		allMasked = allMasked && math.IsInf(float64(v), -1)
	}
	p := make([]float32, len(x))
	SoftmaxRow(p, x, 1)
	total := 0.0
	for i, v := range p {
		if !(v >= 0 && v <= 1+1e-5) || math.IsInf(float64(x[i]), -1) && v != 0 {
			t.Errorf("softmax at %d of %v: got %v", i, x[i], v)
		}
		total += float64(v)
	}
	want := 1.0
	if allMasked {
		want = 0
	}
	if math.Abs(total-want) > 1e-5 {
		t.Errorf("softmax of %v adds up to %v, want %v", x, total, want)
	}
}
