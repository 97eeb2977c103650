package checkpoints

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// numpyPython finds an interpreter that has numpy: SPARROW_PYTHON, else python3.
func numpyPython(t *testing.T) string {
	t.Helper()
	python := os.Getenv("SPARROW_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import numpy").CombinedOutput(); err != nil {
		t.Skipf("%s has no numpy (%v: %s); SPARROW_PYTHON may name another", python, err, strings.TrimSpace(string(out)))
	}
	return python
}

// describeScript prints each array of an npz file as name, type, shape and the bytes in hexadecimal.
const describeScript = `
import sys, numpy
sys.stdout.reconfigure(encoding="utf-8")
for name, a in numpy.load(sys.argv[1]).items():
    print(name, a.dtype.name, "[" + " ".join(map(str, a.shape)) + "]", a.tobytes().hex(), sep="|")
`

func TestNumpyReadsWhatIsWritten(t *testing.T) {
	python := numpyPython(t)
	dir := filepath.Join(t.TempDir(), "ck")
	mustWrite(t, dir, sample(1))
	out, err := exec.Command(python, "-c", describeScript, filepath.Join(dir, "model.npz")).CombinedOutput()
	if err != nil {
		t.Fatalf("numpy: %v\n%s", err, out)
	}
	var want strings.Builder
	for _, a := range sampleArrays() {
		dt, _, _ := typeOf(a.Data)
		var data strings.Builder
		if err := writeData(hex.NewEncoder(&data), a.Data, make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&want, "%s|%s|%v|%s\n", a.Name, dt.name, a.Shape, &data)
	}
	if got := string(out); got != want.String() {
		t.Errorf("numpy reads\n%s\nwant\n%s", got, &want)
	}
}
