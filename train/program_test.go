package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/saved"
)

// startedAs makes this process one that was started as self, until the test ends.
func startedAs(t *testing.T, self string) {
	before := os.Args[0]
	os.Args[0] = self
	t.Cleanup(func() { os.Args[0] = before })
}

// TestAdviceFollowsTheStart: the commands that errors advise are those of a program that was started by go run or by a path.
func TestAdviceFollowsTheStart(t *testing.T) {
	run := t.TempDir()
	if err := os.WriteFile(filepath.Join(run, "config.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for start, program := range map[string]string{"/tmp/go-build1/b001/exe/model": "go run ./cmd/train", "/opt/sparrow/model": "/opt/sparrow/train"} {
		startedAs(t, start)
		_, err := saved.Find(run, false)
		if want := program + " resume " + run; !errors.Is(err, saved.ErrNotFound) || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("started as %s: got %v, want the advice %s", start, err, want)
		}
		diverged := (&DivergedError{Dir: "my run", Last: "x", Rate: 1}).Error()
		if want := program + " resume 'my run' --set train.learning_rate=0.1"; !strings.HasSuffix(diverged, ": "+want) {
			t.Errorf("started as %s: got %s, want the advice %s", start, diverged, want)
		}
	}
}
