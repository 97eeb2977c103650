package shell

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCommand: the advised command is one that works where this one did.
func TestCommand(t *testing.T) {
	t.Setenv("PATH", filepath.Join(t.TempDir(), "nothing"))
	for _, c := range []struct{ name, self, goos, want string }{
		{"by its name", "train", "linux", "model"},
		{"beside it", "./train", "linux", "./model"},
		{"by a path", "/opt/sparrow/train", "linux", "/opt/sparrow/model"},
		{"a path that a shell would split", "/opt/my tools/train", "linux", "'/opt/my tools/model'"},
		{"windows", "/opt/sparrow/train.exe", "windows", "/opt/sparrow/model.exe"},
		{"go run", "/tmp/go-build123/b001/exe/train", "linux", "go run ./cmd/model"},
		{"go run from the build cache", "/root/.cache/go-build/ab/abcd-d/train", "linux", "go run ./cmd/model"},
		{"another program", "/opt/other/server", "linux", "model"},
		{"a test", "/tmp/go-build123/b001/train.test", "linux", "model"},
	} {
		if got, want := command(c.self, c.goos, "model", []string{"merge", "my run", "-o", "NEW"}), c.want+" merge 'my run' -o NEW"; got != want {
			t.Errorf("%s: the command beside %q is %q, want %q", c.name, c.self, got, want)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got := command(filepath.Join(dir, "train"), "linux", "model", nil); got != "model" {
		t.Errorf("of a program on the PATH: %q, want model", got)
	}
}
