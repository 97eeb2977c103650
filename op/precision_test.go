package op

import (
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
			tests := "TestFloat32|TestFloat32Cache|TestGolden|TestGoldenMaps|TestForward|TestForwardMaps"
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
