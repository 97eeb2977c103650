package shell

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"
)

// TestExitCode: the first error of a tree that has a code decides, and no child process does.
func TestExitCode(t *testing.T) {
	usage, broken := Sentinel(ExitUsage, "cannot"), Sentinel(ExitBroken, "broken")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, 0},
		{"plain", errors.New("disk full"), 1},
		{"sentinel", usage, 2},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("%w: b", broken)), 3},
		{"joined", errors.Join(errors.New("x"), broken, usage), 3},
		{"child", fmt.Errorf("go env: %w", &exec.ExitError{}), 1},
		{"usage for a child's sake", fmt.Errorf("%w: %w", usage, &exec.ExitError{}), 2},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
	if a, b := Sentinel(2, "x"), Sentinel(2, "x"); errors.Is(a, b) || !errors.Is(fmt.Errorf("%w", a), a) {
		t.Error("a sentinel matches another of the same words, or not itself")
	}
}
