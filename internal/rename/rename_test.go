package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRename: imports and go.mod change, and nothing that only looks like them.
func TestRename(t *testing.T) {
	dir := t.TempDir()
	files := map[string][2]string{
		"go.mod": {"module sparrow\n\ngo 1.26.0\n", "module example.com/me/sparrow\n\ngo 1.26.0\n"},
		"a.go": {
			"package sparrow // of \"sparrow/model\"\n\nimport (\n\t\"fmt\"\n\n\tx \"sparrow\"\n\t\"sparrow/model\"\n\t`sparrow/nn`\n\t\"sparrows/far\"\n)\n\nvar _ = \"sparrow/model\"\n",
			"package sparrow // of \"sparrow/model\"\n\nimport (\n\t\"fmt\"\n\n\tx \"example.com/me/sparrow\"\n\t\"example.com/me/sparrow/model\"\n\t\"example.com/me/sparrow/nn\"\n\t\"sparrows/far\"\n)\n\nvar _ = \"sparrow/model\"\n",
		},
		"sub/b.go":    {"package sub\n\nimport \"sparrow/op\"\n", "package sub\n\nimport \"example.com/me/sparrow/op\"\n"},
		"c.md":        {"import \"sparrow/op\"\n", "import \"sparrow/op\"\n"},
		".git/d.go":   {"package x\n\nimport \"sparrow/op\"\n", "package x\n\nimport \"sparrow/op\"\n"},
		"sub/none.go": {"package sub\n", "package sub\n"},
	}
	for name, c := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c[0]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n, err := rename(dir, "example.com/me/sparrow")
	if err != nil || n != 3 {
		t.Errorf("%d files changed, %v; want 3", n, err)
	}
	for name, c := range files {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || string(got) != c[1] {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c[1])
		}
	}
	for _, path := range []string{"", "a b", "/x", "x/", "Example.com", `x"y`, "../x"} {
		if _, err := rename(dir, path); err == nil {
			t.Errorf("%q is no error", path)
		}
	}
}
