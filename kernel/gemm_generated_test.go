package kernel

import (
	"os/exec"
	"strings"
	"testing"
)

// TestGenerated checks that the committed assembly is what the generators write.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generators: not with -short, and CI has a step for it")
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the generators' script needs a POSIX shell")
	}
	out, err := exec.Command("sh", "internal/avogen/check.sh").CombinedOutput()
	if err != nil {
		t.Fatalf("check.sh: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "skipped") {
		t.Skip(strings.TrimSpace(string(out)))
	}
}
