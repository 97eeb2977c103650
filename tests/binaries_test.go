package tests

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// binDir holds the commands, built once by the first test that needs them.
var binDir string

var build = sync.OnceValue(func() error {
	var err error
	if binDir, err = os.MkdirTemp("", "sparrow-commands-"); err != nil {
		return err
	}
	out, err := exec.Command("go", "build", "-o", binDir+string(filepath.Separator), "sparrow/cmd/train", "sparrow/cmd/model", "sparrow/cmd/compress").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binDir != "" {
		_ = os.RemoveAll(binDir)
	}
	os.Exit(code)
}

// needBinaries builds the commands and returns their folder.
func needBinaries(t *testing.T) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return binDir
}

// command prepares train or model to run in the folder dir.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	c := exec.Command(filepath.Join(needBinaries(t), name), args...)
	c.Dir, c.Env = dir, append(os.Environ(), "PATH="+binDir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return c
}

// outcome is what a command did.
type outcome struct {
	code           int
	stdout, stderr string
}

// run executes a command to its end.
func run(t *testing.T, dir, name string, args ...string) outcome {
	t.Helper()
	c := command(t, dir, name, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustRun is run for a command that must end with exit code 0.
func mustRun(t *testing.T, dir, name string, args ...string) outcome {
	t.Helper()
	o := run(t, dir, name, args...)
	if o.code != 0 {
		t.Fatalf("%s %q: exit code %d, want 0\n%s", name, args, o.code, o.stderr)
	}
	return o
}

// tinyConfig trains in a fraction of a second.
const tinyConfig = `name = "tiny"
seed = 3

[data]
source = "text"
paths = ["corpus.txt"]
seq_len = 16

[model]
d_model = 16
n_layer = 1
d_ff = 24
[model.attention]
n_head = 2

[train]
steps = 6
batch_size = 2
learning_rate = 1e-2
warmup_steps = 2

[eval]
every = 2
tokens = 256
[checkpoint]
every = 2
keep = 2
`

// corpus is a text with something to learn, and enough of it for an evaluation
// of 256 tokens.
func corpus() string {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "func f%d(x int) int { return x + %d } // line %d\n", i, i*7%13, i)
	}
	return b.String()
}

// workplace makes a folder with tiny.toml and corpus.txt.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	fill(t, dir)
	return dir
}

func fill(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{"tiny.toml": tinyConfig, "corpus.txt": corpus()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
