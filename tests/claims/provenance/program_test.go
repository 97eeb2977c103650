package provenance

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCacheIsMade(t *testing.T) {
	own := filepath.Join(t.TempDir(), "a", "b")
	if dir, err := Cache(own, "x"); err != nil || dir != own {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, err := Cache("", "x")
	if err != nil || filepath.Base(dir) != "x" {
		t.Fatalf("%s, %v", dir, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Error(err)
	}
}
