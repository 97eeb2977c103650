package interchange_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/interchange"
	"sparrow/model"
)

// interpreter is the Python that SPARROW_PYTHON names, if it has the packages.
func interpreter(t *testing.T, packages ...string) string {
	t.Helper()
	python := os.Getenv("SPARROW_PYTHON")
	if python == "" {
		t.Skip("SPARROW_PYTHON is not set")
	}
	if out, err := exec.Command(python, "-c", "import "+strings.Join(packages, ", ")).CombinedOutput(); err != nil {
		t.Skipf("%s lacks one of %v: %s", python, packages, out)
	}
	return python
}

// export writes a model of testdata in a format, and returns where it is.
func export(t *testing.T, dir, format string) string {
	t.Helper()
	m, store := imported(t, dir)
	out := filepath.Join(t.TempDir(), filepath.Base(dir))
	if err := interchange.Export(outgoing(m, store), format, out, "F32"); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return out
}

// compared runs testdata/interop.py on exports of the models, and returns the difference of each.
func compared(t *testing.T, python, format string, dirs []string) map[string]float64 {
	t.Helper()
	var pairs strings.Builder
	for _, dir := range dirs {
		source := dir
		if strings.HasPrefix(filepath.Base(dir), "vit") { // the pixels are this project's
			m, store := imported(t, dir)
			s, err := m.Network.NewSession(m.Dims, store, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			source = filepath.Join(t.TempDir(), filepath.Base(dir))
			writeGolden(t, m, s, dir, source)
		}
		fmt.Fprintln(&pairs, source, export(t, dir, format))
	}
	list := filepath.Join(t.TempDir(), "pairs.txt")
	if err := os.WriteFile(list, []byte(pairs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	all := differences(t, python, format, list)
	if len(all) != len(dirs) {
		t.Fatalf("%d of %d models were compared: %v", len(all), len(dirs), all)
	}
	return all
}

// differences runs testdata/interop.py on a list of pairs.
func differences(t *testing.T, python, format, list string, environment ...string) map[string]float64 {
	t.Helper()
	command := exec.Command(python, filepath.Join("testdata", "interop.py"), format, list)
	command.Env = append(os.Environ(), environment...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		var name string
		var off float64
		if _, err := fmt.Sscan(line, &name, &off); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[name] = off
	}
	return all
}

// encoders are the models of testdata that read whole texts or images.
func encoders(t *testing.T) (dirs []string) {
	for _, dir := range goldens(t) {
		if name := filepath.Base(dir); strings.Contains(name, "bert") || strings.HasPrefix(name, "vit") {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// TestTransformersLoads: transformers computes of an export what it computed of the model of every family.
func TestTransformersLoads(t *testing.T) {
	python := interpreter(t, "torch", "transformers", "safetensors", "numpy")
	for name, off := range compared(t, python, "hf", goldens(t)) {
		if !(off <= 1e-4) {
			t.Errorf("%s differs by %g", name, off)
		}
		t.Logf("%s: %.2g", name, off)
	}
}

// TestONNX: onnxruntime computes of an export what transformers computes of its model.
func TestONNX(t *testing.T) {
	python := interpreter(t, "numpy", "onnxruntime")
	for name, off := range compared(t, python, "onnx", encoders(t)) {
		if !(off <= 1e-5) {
			t.Errorf("%s differs by %g", name, off)
		}
		t.Logf("%s: %.2g", name, off)
	}
}

// TestONNXWrites: every encoder becomes a graph whose operands exist, with its tokenizer; a decoder does not.
func TestONNXWrites(t *testing.T) {
	for _, dir := range encoders(t) {
		out := export(t, dir, "onnx")
		beside := "tokenizer.json"
		if strings.HasPrefix(filepath.Base(dir), "vit") {
			beside = "preprocessor_config.json"
		}
		for _, name := range []string{"model.onnx", "config.json", beside} {
			if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %s: %v", dir, name, err)
			}
		}
	}
	m, store := imported(t, "testdata/models/llama")
	out := filepath.Join(t.TempDir(), "out")
	if err := interchange.Export(outgoing(m, store), "onnx", out, "F32"); err == nil || !strings.Contains(err.Error(), "of encoders") {
		t.Errorf("a decoder: %v", err)
	}
}
