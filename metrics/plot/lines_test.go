package plot

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWriteLines: names and axes are in the picture, equal lines give equal bytes, and lines that are none are refused.
func TestWriteLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines.svg")
	lines := []Line{{"first way", []float64{50, 100, 200}, []float64{0.2, 0.5, 0.9}}, {"second way", []float64{50, 200}, []float64{0.1, 0.4}}}
	for range 10 {
		lines = append(lines, Line{"more", []float64{50}, []float64{0.3}})
	}
	var first []byte
	for range 2 {
		if err := WriteLines(path, "Recall", "pairs", "share found", lines); err != nil {
			t.Fatal(err)
		}
		svg, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"first way", "second way", "Recall", "pairs", "share found", "stroke-dasharray"} {
			if !strings.Contains(string(svg), want) {
				t.Errorf("the picture lacks %q", want)
			}
		}
		if first != nil && !bytes.Equal(first, svg) {
			t.Error("equal lines, other bytes")
		}
		first = svg
	}
	if err := WriteLines(path, "", "", "", []Line{{"bad", []float64{1}, nil}}); err == nil {
		t.Error("a line without values was drawn")
	}
}
