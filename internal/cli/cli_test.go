package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/train"
)

// TestProgram: the advised command is one that works where this one did.
func TestProgram(t *testing.T) {
	t.Setenv("PATH", filepath.Join(t.TempDir(), "nothing"))
	for _, c := range []struct{ name, self, goos, want string }{
		{"by its name", "train", "linux", "model"},
		{"beside it", "./train", "linux", "./model"},
		{"by a path", "/opt/sparrow/train", "linux", "/opt/sparrow/model"},
		{"a path that a shell would split", "/opt/my tools/train", "linux", "'/opt/my tools/model'"},
		{"windows", "/opt/sparrow/train.exe", "windows", "/opt/sparrow/model.exe"},
		{"go run", "/tmp/go-build123/b001/exe/train", "linux", "go run ./cmd/model"},
		{"go run from the build cache", "/root/.cache/go-build/ab/abcd-d/train", "linux", "go run ./cmd/model"},
	} {
		if got := program("model", c.self, c.goos); got != c.want {
			t.Errorf("%s: program(model, %q) = %q, want %q", c.name, c.self, got, c.want)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got := program("model", filepath.Join(dir, "train"), "linux"); got != "model" {
		t.Errorf("program(model) of a command on the PATH = %q, want model", got)
	}
}

// TestMainExitCodes: each kind of error has the exit code of the contract.
func TestMainExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		err  error
		want int
	}{
		{"done", nil, nil, 0},
		{"failed", nil, errors.New("disk full"), 1},
		{"usage", nil, Usagef("--x = %d", 1), 2},
		{"wrapped usage", nil, fmt.Errorf("eval: %w", Usagef("--x")), 2},
		{"config", nil, configs.Problems{{File: "a.toml", Message: "wrong"}}, 2},
		{"cannot start", nil, fmt.Errorf("%w: full", train.ErrUsage), 2},
		{"no checkpoint", nil, fmt.Errorf("%w: x", train.ErrNotFound), 2},
		{"interrupted", nil, fmt.Errorf("%w; saved", train.ErrInterrupted), 130},
		{"broken promise", nil, Broken(errors.New("budget")), 3},
		{"nothing broken", nil, Broken(nil), 0},
		{"cancelled", nil, context.Canceled, 1},
		{"unknown flag", []string{"--y"}, nil, 2},
		{"too many arguments", []string{"more"}, nil, 2},
	} {
		root := &cobra.Command{Use: "program"}
		root.AddCommand(&cobra.Command{Use: "verb", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return c.err }})
		root.SetArgs(append([]string{"verb"}, c.args...))
		if got := Main(root); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}
