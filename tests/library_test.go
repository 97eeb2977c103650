package tests

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLibraryLabelsAndWrites runs what docs/library.md shows first.
func TestLibraryLabelsAndWrites(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lama", "mha"} {
		unpackEarlier(t, name, filepath.Join(dir, name))
	}
	var b strings.Builder
	if err := labelAndWrite(context.Background(), filepath.Join(dir, "lama"), filepath.Join(dir, "mha"), &b); err != nil {
		t.Fatal(err)
	}
	label, text, _ := strings.Cut(b.String(), "\n")
	if !slices.Contains([]string{"pos", "neg"}, label) || text == "" {
		t.Errorf("wrote %q; want pos or neg on a line, and some text", b.String())
	}
}
