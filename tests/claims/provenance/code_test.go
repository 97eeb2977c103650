package provenance

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCode: the hash changes with any file of a package or of one that it imports, also assembly and tables, but not with tests
// nor with packages that it does not import.
func TestCode(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code := func() string {
		t.Helper()
		h, err := Code(root, "sparrow/train")
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	write("train/train.go", "package train\n\nimport (\n\t\"fmt\"\n\t\"sparrow/op\"\n)\n\nvar _ = fmt.Sprint(op.X)\n")
	write("op/op.go", "package op\n\nimport _ \"sparrow/kernel\"\n\nvar X = 1\n")
	write("kernel/kernel.go", "package kernel\n")
	write("other/other.go", "package other\n")
	last := code()
	for _, c := range []struct {
		path, text string
		changes    bool
	}{
		{"kernel/sum_amd64.s", "TEXT", true},
		{"kernel/kernel.go", "package kernel\n\n// another\n", true},
		{"op/table.txt", "1 2 3", true},
		{"train/train_test.go", "package train\n", false},
		{"other/other.go", "package other\n\nvar Y int\n", false},
		{"op/op.go", "package op\n\nimport (\n\t_ \"sparrow/kernel\"\n\t_ \"sparrow/other\"\n)\n\nvar X = 1\n", true},
		{"other/other.go", "package other\n", true},
	} {
		write(c.path, c.text)
		now := code()
		if (now != last) != c.changes {
			t.Errorf("%s: the hash changes: %t, want %t", c.path, now != last, c.changes)
		}
		last = now
	}
	if _, err := Code(root, "sparrow/nothing"); err == nil {
		t.Error("a package that is not there: no error")
	}
}

// TestCodeOfModule: of this very module it can be had.
func TestCodeOfModule(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	train, err := Code(root, "sparrow/train")
	if err != nil {
		t.Fatal(err)
	}
	both, err := Code(root, "sparrow/train", "sparrow/compress")
	if err != nil || both == train || len(train) != 32 {
		t.Errorf("%q and %q, %v; want two hashes", train, both, err)
	}
}
