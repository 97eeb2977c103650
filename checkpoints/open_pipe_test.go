//go:build unix

package checkpoints

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenPipe: a manifest that is a pipe does not block.
func TestOpenPipe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "step-000001")
	mustWrite(t, dir, Contents{Step: 1})
	path := filepath.Join(dir, manifestName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Skip(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("Open = %v, want ErrCheckpoint", err)
	}
}
