package checkpoints

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// One holder at a time, after whom the folder is free; a folder that takes no lock is not in the way.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second holder got %v, want %v", err, ErrLocked)
	}
	unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
	unlock() // a second call does nothing, to nobody else's lock either
	if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
		t.Error(err)
	}
	none, err := Lock(filepath.Join(dir, "missing"))
	if err != nil {
		t.Fatalf("a folder without locks: %v", err)
	}
	none()
}
