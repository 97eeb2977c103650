//go:build unix

package data

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOpenFilePipe: a pipe without a writer and a device without an end are refused at once.
func TestOpenFilePipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path+": is a pipe or a device") {
			t.Errorf("ReadFile(%s) = %v, want it refused", path, err)
		}
		if _, err := AppendFile(nil, path); err == nil {
			t.Errorf("AppendFile(%s) succeeded", path)
		}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	for _, text := range []string{"", "abc", strings.Repeat("x", 1<<17)} {
		if err := os.WriteFile(whole, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(whole); err != nil || string(got) != text {
			t.Errorf("ReadFile of %d bytes = %d bytes, %v", len(text), len(got), err)
		}
	}
	if _, err := ReadFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("ReadFile of a folder: %v, want that it is one", err)
	}
	if _, err := ReadFile("nope"); !os.IsNotExist(err) {
		t.Errorf("ReadFile of nothing: %v", err)
	}
}
