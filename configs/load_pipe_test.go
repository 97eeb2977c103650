//go:build unix

package configs

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLoadPipe: a pipe without a writer and a device without an end are refused at once.
func TestLoadPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		var dst struct{}
		if err := Load(path, &dst, Options{}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "is a pipe or a device") {
			t.Errorf("Load(%s) = %v, want it refused", path, err)
		}
	}
}
