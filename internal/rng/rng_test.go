package rng

import (
	"fmt"
	"math"
	"testing"
)

// TestPhiloxKnownAnswers uses the vectors of Random123's kat_vectors file (philox2x64, 10 rounds).
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, test := range []struct {
		name           string
		lo, hi, key    uint64
		wantLo, wantHi uint64
	}{
		{"zeros", 0, 0, 0, 0xca00a0459843d731, 0x66c24222c9a845b5},
		{"ones", math.MaxUint64, math.MaxUint64, math.MaxUint64, 0x65b021d60cd8310f, 0x4d02f3222f86df20},
		{"pi", 0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x0a5e742c2997341c, 0xb0f883d38000de5d},
	} {
		t.Run(test.name, func(t *testing.T) {
			lo, hi := philox(test.lo, test.hi, test.key)
			if lo != test.wantLo || hi != test.wantHi {
				t.Errorf("philox(%x, %x, %x) = %x %x, want %x %x", test.lo, test.hi, test.key, lo, hi, test.wantLo, test.wantHi)
			}
		})
	}
}

// TestStability pins the numbers themselves: a change here changes the weights of every seed.
func TestStability(t *testing.T) {
	s := New(1, "init", 0)
	got := fmt.Sprintf("%016x %016x %.17g %.17g %d", s.Uint64(), s.Uint64(), s.Float64(), normal(s.Uint64()), s.Intn(1000))
	const want = "e92d2c653b90b983 ee3e02e3fd83095b 0.62229182337388755 0.97803263213689196 501"
	if got != want {
		t.Errorf("first draws of (1, init, 0) = %s, want %s", got, want)
	}
}

func TestSourcesDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(8) {
		for _, stream := range []string{"", "a", "b", "ab", "ba", "layers.0", "layers.1", "layers.10"} {
			for counter := range uint64(64) {
				name := fmt.Sprintf("(%d, %q, %d)", seed, stream, counter)
				x := New(seed, stream, counter).Uint64()
				if other, ok := seen[x]; ok {
					t.Fatalf("%s and %s start with the same number %x", name, other, x)
				}
				seen[x] = name
			}
		}
	}
}

func TestSkip(t *testing.T) {
	const n = 41
	s := New(3, "skip", 9)
	var want [n]uint64
	for i := range want {
		want[i] = s.Uint64()
	}
	for from := range n {
		for to := from; to < n; to++ {
			s := New(3, "skip", 9)
			for range from {
				s.Uint64()
			}
			s.Skip(uint64(to - from))
			if got := s.Uint64(); got != want[to] {
				t.Fatalf("after %d draws and Skip(%d): got %x, want %x", from, to-from, got, want[to])
			}
		}
	}
}

// chiSquareLimit is about six standard deviations above the mean of a chi-square variable with k degrees of freedom:
// a sound generator fails it once in 10^9 seeds, and the seeds here are fixed.
func chiSquareLimit(k int) float64 { return float64(k) + 6*math.Sqrt(2*float64(k)) }

func chiSquare(counts []int, total int) float64 {
	expected := float64(total) / float64(len(counts))
	sum := 0.0
	for _, c := range counts {
		d := float64(c) - expected
		sum += d * d / expected
	}
	return sum
}

func TestUniformity(t *testing.T) {
	const n = 1 << 18
	sequential := New(1, "uniform", 0)
	for _, test := range []struct {
		name string
		draw func(i int) uint64
	}{
		{"one source", func(int) uint64 { return sequential.Uint64() }},
		{"first number of each counter", func(i int) uint64 { return New(1, "uniform", uint64(i)).Uint64() }},
		{"first number of each seed", func(i int) uint64 { return New(uint64(i), "uniform", 0).Uint64() }},
		{"first number of each stream", func(i int) uint64 { return New(1, fmt.Sprint("layers.", i), 0).Uint64() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			top, low, pairs := make([]int, 1024), make([]int, 1024), make([]int, 1024)
			var bitCounts [64]int
			previous := uint64(0)
			for i := range n {
				x := test.draw(i)
				top[x>>54]++
				low[x&1023]++
				pairs[x>>59<<5|previous>>59]++
				previous = x
				for b := range bitCounts {
					bitCounts[b] += int(x >> b & 1)
				}
			}
			for name, counts := range map[string][]int{"top bits": top, "low bits": low, "successive pairs": pairs} {
				if got, limit := chiSquare(counts, n), chiSquareLimit(len(counts)-1); got > limit {
					t.Errorf("%s: chi-square %.0f over %d cells, limit %.0f", name, got, len(counts), limit)
				}
			}
			for b, ones := range bitCounts {
				if z := math.Abs(float64(ones)-n/2) / math.Sqrt(n/4); z > 6 {
					t.Errorf("bit %d is set in %d of %d draws (%.1f standard deviations off)", b, ones, n, z)
				}
			}
		})
	}
}

func TestFloat64Range(t *testing.T) {
	for _, test := range []struct {
		name string
		bits uint64
		want float64
	}{
		{"lowest", 0, 0},
		{"half", 1 << 63, 0.5},
		{"highest", math.MaxUint64, 1 - 0x1p-53},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := unit(test.bits); got != test.want {
				t.Errorf("unit(%x) = %v, want %v", test.bits, got, test.want)
			}
		})
	}
}

func TestNormalDistribution(t *testing.T) {
	const n = 1 << 19
	s := New(2, "normal", 0)
	counts := make([]int, 64) // cells of equal probability under the normal distribution
	var sum, squares, fourth float64
	for range n {
		x := normal(s.Uint64())
		sum += x
		squares += x * x
		fourth += x * x * x * x
		counts[min(63, int(64*0.5*math.Erfc(-x/math.Sqrt2)))]++
	}
	if mean := sum / n; math.Abs(mean) > 6/math.Sqrt(n) {
		t.Errorf("mean %v, want 0 within %v", mean, 6/math.Sqrt(n))
	}
	if variance := squares / n; math.Abs(variance-1) > 6*math.Sqrt(2.0/n) {
		t.Errorf("variance %v, want 1 within %v", variance, 6*math.Sqrt(2.0/n))
	}
	if kurtosis := fourth / n; math.Abs(kurtosis-3) > 6*math.Sqrt(96.0/n) {
		t.Errorf("fourth moment %v, want 3 within %v", kurtosis, 6*math.Sqrt(96.0/n))
	}
	if got, limit := chiSquare(counts, n), chiSquareLimit(63); got > limit {
		t.Errorf("chi-square %.1f over 64 cells, limit %.1f", got, limit)
	}
	for name, x := range map[string]float64{"lowest bits": normal(0), "highest bits": normal(math.MaxUint64)} {
		if math.Abs(x) < 8 || math.Abs(x) > 8.5 {
			t.Errorf("%s: normal %v, want magnitude in [8, 8.5]", name, x)
		}
	}
}

func TestIntn(t *testing.T) {
	const draws = 60000
	for _, n := range []int{1, 2, 3, 7, 10, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := New(5, "intn", uint64(n))
			counts := make([]int, n)
			for range draws {
				counts[s.Intn(n)]++
			}
			if got, limit := chiSquare(counts, draws), chiSquareLimit(n-1); got > limit {
				t.Errorf("chi-square %.1f over %d cells, limit %.1f", got, n, limit)
			}
		})
	}
	t.Run("huge n has no bias", func(t *testing.T) {
		// With n = 3 * 2^61 a plain remainder would give the lower two thirds of the range too often.
		s, low := New(5, "intn", 0), 0
		for range draws {
			if s.Intn(3<<61) < 1<<61 {
				low++
			}
		}
		if z := math.Abs(float64(low)-draws/3) / math.Sqrt(draws*2/9); z > 6 {
			t.Errorf("%d of %d draws in the lowest third", low, draws)
		}
	})
	for _, n := range []int{0, -1} {
		t.Run(fmt.Sprint("panics at ", n), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("Intn(%d) did not panic", n)
				}
			}()
			New(0, "", 0).Intn(n)
		})
	}
}

func TestFillsTakeOneDrawAnElement(t *testing.T) {
	const n, split = 1001, 317
	for _, test := range []struct {
		name string
		fill func(*Source, []float32)
	}{
		{"uniform", func(s *Source, x []float32) { FillUniform(s, x, -2, 3) }},
		{"normal", func(s *Source, x []float32) { FillNormal(s, x, 1, 0.02) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			whole, parts := make([]float32, n), make([]float32, n)
			s := New(7, "fill", 0)
			test.fill(s, whole)
			test.fill(New(7, "fill", 0), parts[:split])
			second := New(7, "fill", 0)
			second.Skip(split)
			test.fill(second, parts[split:])
			for i := range whole {
				if whole[i] != parts[i] {
					t.Fatalf("element %d: %v in one fill, %v in two", i, whole[i], parts[i])
				}
			}
			if a, b := s.Uint64(), second.Uint64(); a != b {
				t.Errorf("next draw after the fill: %x in one fill, %x in two", a, b)
			}
		})
	}
}

func TestFillValues(t *testing.T) {
	const n = 1 << 16
	x := make([]float64, n)
	mean := func() float64 {
		sum := 0.0
		for _, v := range x {
			sum += v
		}
		return sum / n
	}
	FillUniform(New(1, "u", 0), x, -2, 4)
	for i, v := range x {
		if v < -2 || v >= 4 {
			t.Fatalf("FillUniform: element %d = %v, want in [-2, 4)", i, v)
		}
	}
	if m := mean(); math.Abs(m-1) > 0.05 {
		t.Errorf("FillUniform(-2, 4): mean %v, want 1", m)
	}
	FillNormal(New(1, "n", 0), x, 5, 0.5)
	if m := mean(); math.Abs(m-5) > 0.02 {
		t.Errorf("FillNormal(5, 0.5): mean %v, want 5", m)
	}
}

func ExampleNew() {
	// The noise of step 3 can be drawn again without drawing that of the steps before.
	noise := make([]float32, 4)
	FillUniform(New(1, "noise/layers.0", 3), noise, -1, 1)
	again := make([]float32, 4)
	FillUniform(New(1, "noise/layers.0", 3), again, -1, 1)
	fmt.Println(noise[0] == again[0], noise[1] == again[1], noise[2] == again[2], noise[3] == again[3])
	// Output: true true true true
}

func BenchmarkUint64(b *testing.B) {
	s := New(1, "bench", 0)
	var sum uint64
	for b.Loop() {
		sum += s.Uint64()
	}
	_ = sum
}

func BenchmarkFill(b *testing.B) {
	x := make([]float32, 1<<16)
	for _, bench := range []struct {
		name string
		fill func(*Source)
	}{
		{"uniform", func(s *Source) { FillUniform(s, x, 0, 1) }},
		{"normal", func(s *Source) { FillNormal(s, x, 0, 1) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				bench.fill(New(1, "bench", 0))
			}
		})
	}
}
