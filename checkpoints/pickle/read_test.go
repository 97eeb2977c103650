package pickle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/safetensors"
)

// equal compares a set with what PyTorch wrote of the same tensors as safetensors, byte for byte.
func equal(t *testing.T, got *foreign.Set, truth string) {
	t.Helper()
	want, err := safetensors.Open(truth)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if len(got.Tensors()) != len(want.Tensors()) {
		t.Errorf("there are %d tensors; want %d", len(got.Tensors()), len(want.Tensors()))
	}
	for _, w := range want.Tensors() {
		g, ok := got.Tensor(w.Name)
		if !ok {
			t.Errorf("%q is missing", w.Name)
			continue
		}
		if g.Type != w.Type || !slices.Equal(g.Shape, w.Shape) {
			t.Errorf("%q is %s %v; want %s %v", w.Name, g.Type.Name, g.Shape, w.Type.Name, w.Shape)
			continue
		}
		if !bytes.Equal(g.Bytes(), w.Bytes()) {
			t.Errorf("%q is\n% x; want\n% x", w.Name, g.Bytes(), w.Bytes())
		}
		if g.Type.Decode == nil {
			continue
		}
		gv, err := g.Values()
		if err != nil {
			t.Error(err)
		}
		wv, err := w.Values()
		if err != nil {
			t.Error(err)
		}
		if !slices.Equal(gv, wv) {
			t.Errorf("%q has values %v; want %v", w.Name, gv, wv)
		}
	}
}

func TestReadsWhatTorchSaves(t *testing.T) {
	for file, truth := range map[string]string{
		"zip.bin": "truth.safetensors", "stream.bin": "truth.safetensors", "protocol4.bin": "truth.safetensors",
		"module.bin": "module.safetensors",
	} {
		t.Run(file, func(t *testing.T) {
			s, err := Open("testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			equal(t, s, "testdata/"+truth)
		})
	}
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/module.bin")
	if err != nil {
		t.Fatal(err)
	}
	index := `{"weight_map": {`
	s, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range s.Tensors() {
		index += `"` + x.Name + `": "pytorch_model-00001-of-00001.bin",`
	}
	for name, text := range map[string]string{"pytorch_model-00001-of-00001.bin": string(data), "pytorch_model.bin.index.json": strings.TrimSuffix(index, ",") + "}}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Open(filepath.Join(dir, "pytorch_model.bin.index.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	equal(t, got, "testdata/module.safetensors")
}

func TestExecutesNothing(t *testing.T) {
	for file, want := range map[string]string{
		"hostile.bin": `asks for "posix.system", which weights don't need; nothing of the file was executed`,
		"number.bin":  `holds 1 under the key "b"; want a dict of tensors`,
		"list.bin":    "holds a list of 1; want a dict of tensors",
	} {
		_, err := Open("testdata/" + file)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, foreign.ErrFile) {
			t.Errorf("%s: error is %v; want %q", file, err, want)
		}
	}
	if _, err := os.Stat("executed"); err == nil {
		t.Error("the file's command was executed")
	}
}
