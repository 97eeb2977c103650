package op

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// float32Tol is the distance of a float32 result from the float64 one, of the
// largest element: 2^-24 times the root of the longest sums (131 rows), times
// the growth of errors through softmax and norm, with room.
const float32Tol = 2e-5

// isaVariable lowers the kernels' instruction set at start.
const isaVariable = "SPARROW_ISA"

// TestFloat32 compares float32 on the instruction set of this process with
// float64, at sizes with tails.
func TestFloat32(t *testing.T) {
	if want := os.Getenv(isaVariable); want != "" && kernel.ISA() != want {
		t.Skipf("this CPU or build has no %s", want)
	}
	for _, s := range oddSubjects() {
		t.Run(s.name, func(t *testing.T) {
			want := s.compile(t, tensor.Float64).result(t)
			sameResult(t, s.compile(t, tensor.Float32).result(t), want, float32Tol)
		})
	}
}

const (
	// bfloat16Tol is the distance of products of bfloat16 in float32 from those in float64, where what one product computes is
	// rounded for the next: now and then an element falls to the other side of a rounding, which is 2^-8 of it.
	bfloat16Tol = 4e-3
	// roundedTol is the distance of both from products that are not rounded: 2^-9 of each operand, through several products.
	roundedTol = 4e-2
)

// TestBFloat16 compares products of bfloat16 in float32 with the same rounding in float64, and both with no rounding.
func TestBFloat16(t *testing.T) {
	rounds := 0
	for _, s := range oddSubjects() {
		t.Run(s.name, func(t *testing.T) {
			exact := s.compile(t, tensor.Float64).result(t)
			s.reads = kernel.BFloat16
			want := s.compile(t, tensor.Float64).result(t)
			got := s.compile(t, tensor.Float32).result(t)
			sameResult(t, got, want, bfloat16Tol)
			sameResult(t, got, exact, roundedTol)
			for i := range exact.y {
				if math.Abs(got.y[i]-exact.y[i]) > 1e-4*math.Abs(exact.y[i]) {
					rounds++
					break
				}
			}
			threads := kernel.Threads()
			defer kernel.SetThreads(threads)
			kernel.SetThreads(threads%2 + 1)
			sameResult(t, s.compile(t, tensor.Float32).result(t), got, 0)
		})
	}
	if rounds < 10 {
		t.Errorf("%d operators round their operands, want at least 10", rounds)
	}
}

// TestBFloat16Linear compares a linear layer with loops in float64 over rounded operands.
func TestBFloat16Linear(t *testing.T) {
	const n, in, out = 67, 45, 38
	s := linearOf("linear", n, in, out, true)
	s.reads = kernel.BFloat16
	s.dy = normal(rand.New(rand.NewPCG(5, 5)), n, out).data
	x, w, dy := rounded(s.floats["x"].data), rounded(s.floats["w"].data), rounded(s.dy)
	want := result{y: make([]float64, n*out), grads: map[string][]float64{"x": make([]float64, n*in), "w": make([]float64, out*in), "b": make([]float64, out)}}
	for i := range n {
		for o := range out {
			want.y[i*out+o] = s.floats["b"].data[o]
			want.grads["b"][o] += s.dy[i*out+o] // a sum is no product
			for j := range in {
				want.y[i*out+o] += x[i*in+j] * w[o*in+j]
				want.grads["x"][i*in+j] += dy[i*out+o] * w[o*in+j]
				want.grads["w"][o*in+j] += dy[i*out+o] * x[i*in+j]
			}
		}
	}
	sameResult(t, s.compile(t, tensor.Float32).result(t), want, float32Tol)
}

// rounded is x in bfloat16: 8 bits of significand, of two nearest values the even one.
func rounded(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		fraction, exponent := math.Frexp(v)
		y[i] = math.Ldexp(math.RoundToEven(fraction*256)/256, exponent)
	}
	return y
}

// TestEachInstructionSet runs TestFloat32 and the float64 tests once more on each
// instruction set but this process's own. The set is fixed at start, so each has
// a process of its own.
func TestEachInstructionSet(t *testing.T) {
	if os.Getenv(isaVariable) != "" {
		t.Skip("runs in a process of TestEachInstructionSet, which starts the others")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, isa := range []string{"avx512", "avx2", "go"} {
		if isa == kernel.ISA() {
			continue
		}
		t.Run(isa, func(t *testing.T) {
			tests := "TestFloat32|TestBFloat16|TestBFloat16Linear|TestFloat32Cache|TestGolden|TestGoldenMaps|TestForward|TestForwardMaps"
			if !testing.Short() {
				tests += "|TestGradients"
			}
			cmd := exec.Command(self, "-test.run", "^("+tests+")$", "-test.v")
			cmd.Env = append(os.Environ(), isaVariable+"="+isa)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, failures(string(out)))
			}
			if strings.Contains(string(out), "--- SKIP: TestFloat32 ") {
				t.Skipf("this CPU or build has no %s", isa)
			}
			if !strings.Contains(string(out), "--- PASS: TestFloat32 ") {
				t.Errorf("TestFloat32 did not run:\n%s", out)
			}
		})
	}
}

// failures drops the lines of tests that passed.
func failures(out string) string {
	var kept []string
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "--- PASS") && !strings.HasPrefix(line, "=== ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
