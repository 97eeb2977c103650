package main

import (
	"os"
	"strings"
	"testing"
)

// What is committed is what would be made.
func TestPagesAreFresh(t *testing.T) {
	t.Chdir("../..")
	if err := write(true); err != nil {
		t.Error(err)
	}
}

// The check sees a change, and writing mends it.
func TestCheckSeesAChange(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	for _, name := range []string{"docs", "docs/claims"} {
		if err := os.Mkdir(dir+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(picturedFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.WriteFile(picturedFile, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(false); err != nil {
		t.Fatal(err)
	}
	if err := write(true); err != nil {
		t.Errorf("just written: %v", err)
	}
	other := strings.Replace(string(text), `"loss": 1`, `"loss": 2`, 1)
	if other == string(text) {
		t.Fatal("no loss to change")
	}
	if err := os.WriteFile(picturedFile, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(true); err == nil || !strings.Contains(err.Error(), "loss-over-bytes.svg") {
		t.Errorf("another result: error %v, want one about the picture", err)
	}
}
