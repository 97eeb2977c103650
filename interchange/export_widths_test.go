package interchange

import (
	"errors"
	"strings"
	"testing"

	"sparrow/model/decoder"
	"sparrow/recipe"
)

// TestExportRefusesWidths: layers of different widths go nowhere but into an npz file.
func TestExportRefusesWidths(t *testing.T) {
	d := decoder.Default()
	d.NLayer = 2
	c := Checkpoint{Network: recipe.ModelOf(d.Narrow([]int{8, 16}))}
	for _, format := range []string{"hf", "gguf", "onnx"} {
		if err := Export(c, format, t.TempDir()+"/x", "F32"); !errors.Is(err, ErrExport) || !strings.Contains(err.Error(), "want npz") {
			t.Errorf("%s: %v", format, err)
		}
	}
}
