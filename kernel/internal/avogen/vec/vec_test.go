package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestCommittedFiles keeps the committed kernels equal to what the generator writes.
func TestCommittedFiles(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the generator's output; run go generate in package kernel", name)
		}
	}
}

func TestLowerFirst(t *testing.T) {
	for name, want := range map[string]string{"Exp": "exp", "SiLU": "siLU", "ReLUGrad": "reLUGrad", "GELU": "gelu", "GELUTanh": "geluTanh", "AdamW": "adamW"} {
		if got := lowerFirst(name); got != want {
			t.Errorf("lowerFirst(%q) = %q, want %q", name, got, want)
		}
	}
}
