package text

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sparrow/data"
)

// writeFiles makes a folder with files by slash-separated path.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// contents lists the documents of a split as "base name: text".
func contents(s *data.Documents) []string {
	var list []string
	for i, d := range s.List {
		list = append(list, fmt.Sprintf("%s: %s", filepath.Base(d.Path), s.Content(i)))
	}
	return list
}

func TestReadGoTree(t *testing.T) {
	files := map[string]string{
		"src/a/testdata/skipped.go": "package skipped",
		"src/a/readme.md":           "no Go",
		"src/a/latin1.go":           "package caf\xe9",
		"src/a/empty.go":            "",
	}
	for i := range 40 {
		files[fmt.Sprintf("src/p%02d/x/one.go", i)] = fmt.Sprintf("package one // %02d", i)
		files[fmt.Sprintf("src/p%02d/x/two.go", i)] = fmt.Sprintf("package two // %02d", i)
	}
	cfg := DefaultGoroot()
	cfg.ValidationShare = 0.25
	read := func(cfg Goroot) *Splits {
		t.Helper()
		c, err := cfg.readTree(t.Context(), filepath.Join(writeFiles(t, files), "src"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := read(cfg)
	if len(c.Train.List)+len(c.Validation.List) != 80 || c.Files != 80 {
		t.Errorf("%d training and %d validation documents, %d files, want 80 in all", len(c.Train.List), len(c.Validation.List), c.Files)
	}
	if n := len(c.Validation.List); n != 20 {
		t.Errorf("%d validation documents, want a quarter of 80", n)
	}
	held := map[string]bool{}
	for _, d := range c.Validation.List {
		held[filepath.Base(filepath.Dir(filepath.Dir(d.Path)))] = true
	}
	for _, d := range c.Train.List {
		if name := filepath.Base(filepath.Dir(filepath.Dir(d.Path))); held[name] {
			t.Errorf("package %s is in both splits", name)
		}
	}
	for _, s := range []*data.Documents{&c.Train, &c.Validation} {
		if !slices.IsSortedFunc(s.List, func(a, b data.Document) int { return strings.Compare(a.Path, b.Path) }) {
			t.Error("documents are not sorted by path")
		}
	}
	if all := string(c.Train.Text) + string(c.Validation.Text); strings.Contains(all, "skipped") || strings.Contains(all, "caf") || strings.Contains(all, "no Go") {
		t.Error("a file that should be skipped was read")
	}
	if again := read(cfg); again.hash() != c.hash() {
		t.Error("the same files in another folder have another hash")
	}

	cfg.MaxBytes = 400
	small := read(cfg)
	if n := len(small.Train.Text) + len(small.Validation.Text) - small.Files; n > 400 || n < 340 {
		t.Errorf("max_bytes = 400: %d bytes", n)
	}
	if len(small.Validation.List) == 0 || len(small.Train.List) < 10 {
		t.Errorf("max_bytes = 400: %d training and %d validation documents", len(small.Train.List), len(small.Validation.List))
	}
	for _, document := range contents(&small.Validation) {
		if !slices.Contains(contents(&c.Validation), document) {
			t.Errorf("max_bytes moved %q into the validation split", document)
		}
	}
}

func TestGorootErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name, goroot, path, want string
	}{
		{"wrong GOROOT", missing, os.Getenv("PATH"), "environment variable GOROOT is " + fmt.Sprintf("%q", missing) + ", which has no folder src; install Go"},
		{"no toolchain", "", missing, `"go env GOROOT" failed`},
		{"no Go files", writeFiles(t, map[string]string{"src/readme.md": "x"}), missing, "no .go file under"},
		{"one package", writeFiles(t, map[string]string{"src/a/a.go": "package a"}), missing, "nothing is left for validation with validation_share = 0.05"},
		{"empty files", writeFiles(t, map[string]string{"src/a/a.go": ""}), missing, `source "goroot": corpus is empty`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("GOROOT", test.goroot)
			t.Setenv("PATH", test.path)
			_, err := Open(t.Context(), DefaultGoroot())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestOpenText(t *testing.T) {
	line := strings.Repeat("0123456789\n", 10) // 110 bytes
	for _, test := range []struct {
		name              string
		files             map[string]string
		paths             []string
		share             float64
		maxBytes          int64
		train, validation []string
	}{
		{"one file", map[string]string{"a": line}, []string{"a"}, 0.2, 0,
			[]string{"a: " + line[:88]}, []string{"a: " + line[88:]}},
		{"cut after the line", map[string]string{"a": line}, []string{"a"}, 0.25, 0,
			[]string{"a: " + line[:88]}, []string{"a: " + line[88:]}},
		{"glob, sorted, once each", map[string]string{"b": line, "a": line, "c.md": line}, []string{"b", "?", "a"}, 0.5, 0,
			[]string{"a: " + line[:55], "b: " + line[:55]}, []string{"a: " + line[55:], "b: " + line[55:]}},
		{"glob passes over folders", map[string]string{"a": line, "sub/x": line}, []string{"*"}, 0.5, 0,
			[]string{"a: " + line[:55]}, []string{"a: " + line[55:]}},
		{"brackets in a name", map[string]string{"[a]": line}, []string{"[a]"}, 0.5, 0,
			[]string{"[a]: " + line[:55]}, []string{"[a]: " + line[55:]}},
		{"no line break after the cut", map[string]string{"a": "first\nsecond and long"}, []string{"a"}, 0.5, 0,
			[]string{"a: first\n"}, []string{"a: second and long"}},
		{"no line break", map[string]string{"a": "éééééé"}, []string{"a"}, 0.4, 0, // byte 7 is within a rune
			[]string{"a: ééé"}, []string{"a: ééé"}},
		{"empty files are passed over", map[string]string{"a": "", "b": line}, []string{"a", "b"}, 0.5, 0,
			[]string{"b: " + line[:55]}, []string{"b: " + line[55:]}},
		{"cap within one file", map[string]string{"a": line}, []string{"a"}, 0.5, 50,
			[]string{"a: " + line[:22]}, []string{"a: " + line[22:44]}},
		{"cap between files", map[string]string{"a": line, "b": line + line, "c": line}, []string{"*"}, 0.5, 225,
			[]string{"a: " + line[:55], "c: " + line[:55]}, []string{"a: " + line[55:], "c: " + line[55:]}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(writeFiles(t, test.files))
			cfg := DefaultFiles()
			cfg.Paths, cfg.ValidationShare, cfg.MaxBytes = test.paths, test.share, test.maxBytes
			c, err := cfg.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.train, contents(&c.Train)); diff != "" {
				t.Errorf("training documents (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.validation, contents(&c.Validation)); diff != "" {
				t.Errorf("validation documents (-want +got)\n%s", diff)
			}
		})
	}
}

func TestTextErrors(t *testing.T) {
	long := strings.Repeat("some words\n", 100)
	for _, test := range []struct {
		name   string
		files  map[string]string
		change func(*Files)
		want   string
	}{
		{"missing file", nil, func(c *Files) { c.Paths = []string{"no.txt"} }, `data: paths[0]: "no.txt" does not exist`},
		{"glob without a match", map[string]string{"a.txt": long}, func(c *Files) { c.Paths = []string{"a.txt", "*.md"} }, `data: paths[1]: no file matches "*.md"`},
		{"bad glob", nil, func(c *Files) { c.Paths = []string{"a[.txt"} }, `data: paths[0]: glob "a[.txt": syntax error in pattern`},
		{"folder", map[string]string{"sub/a.txt": long}, func(c *Files) { c.Paths = []string{"sub"} }, `data: paths[0]: "sub" is a folder, want a file or a glob such as "sub` + string(filepath.Separator)},
		{"empty file", map[string]string{"a.txt": ""}, nil, `data: source "text": corpus is empty`},
		{"one byte", map[string]string{"a.txt": "x"}, nil, `data: source "text": nothing is left for training with validation_share = 0.05`},
		{"binary for char", map[string]string{"a.txt": long + "\xff\xfe"}, func(c *Files) { c.Tokenizer = "char" }, `data: a.txt: not valid UTF-8 at byte 1100 (0xff); convert the file, or use tokenizer = "byte"`},
		{"binary for bpe", map[string]string{"a.txt": "\x80" + long}, func(c *Files) { c.Tokenizer = "bpe" }, `data: a.txt: not valid UTF-8 at byte 0 (0x80)`},
		{"sequence longer than the corpus", map[string]string{"a.txt": "some words\nand more\n"}, nil, "data: training split of 12 tokens is shorter than one window of seq_len + 1 = 257 tokens"},
		{"sequence longer than the cap", map[string]string{"a.txt": long}, func(c *Files) { c.MaxBytes = 90 }, "seq_len + 1 = 257 tokens; raise max_bytes = 90"},
		{"missing tokenizer", map[string]string{"a.txt": long}, func(c *Files) { c.Tokenizer = "no/tokenizer.json" }, "data: tokenizer: open no/tokenizer.json:"},
		{"bad tokenizer", map[string]string{"a.txt": long, "t.json": "{}"}, func(c *Files) { c.Tokenizer = "t.json" }, `data: t.json: neither "type" nor "model" found`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(writeFiles(t, test.files))
			cfg := DefaultFiles()
			cfg.Paths = []string{"a.txt"}
			if test.change != nil {
				test.change(&cfg)
			}
			_, err := Open(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v\nwant one with %q", err, test.want)
			}
		})
	}
	t.Run("unreadable file", func(t *testing.T) {
		if runtime.GOOS == "windows" || os.Geteuid() == 0 {
			t.Skip("permissions do not bind this user")
		}
		t.Chdir(writeFiles(t, map[string]string{"a.txt": long}))
		if err := os.Chmod("a.txt", 0); err != nil {
			t.Fatal(err)
		}
		cfg := DefaultFiles()
		cfg.Paths = []string{"a.txt"}
		if _, err := Open(t.Context(), cfg); !errors.Is(err, os.ErrPermission) {
			t.Errorf("got error %v, want a missing permission", err)
		}
	})
}

func TestCancelledContext(t *testing.T) {
	t.Chdir(writeFiles(t, map[string]string{"a.txt": strings.Repeat("words\n", 200)}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	files := DefaultFiles()
	files.Paths = []string{"a.txt"}
	for _, source := range []Source{files, DefaultGoroot()} {
		if _, err := Open(ctx, source); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want context.Canceled", source.Name(), err)
		}
	}
}
