package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's folder.
const root = ".."

// source is one parsed file of this module.
type source struct {
	path string // from the module's folder, with slashes
	pkg  string // folder of its package
	text []byte
	file *ast.File
	set  *token.FileSet
}

func (f source) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f source) position(p token.Pos) string { return f.set.Position(p).String() }

// sources parses every Go file of the module, whatever system it is for.
func sources(t *testing.T) []source {
	t.Helper()
	var files []source
	for _, path := range texts(t) {
		if filepath.Ext(path) != ".go" || strings.HasPrefix(path, "kernel/internal/avogen/") || strings.HasPrefix(path, "tests/clients/") { // modules of their own
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, source{path, filepath.ToSlash(filepath.Dir(path)), text, file, set})
	}
	if len(files) < 50 {
		t.Fatalf("found %d Go files in the module; is %q its folder?", len(files), root)
	}
	return files
}

// texts lists the files that people write: everything but test data and what .gitignore names.
func texts(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "runs", "bin", "testdata", "__pycache__"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if slices.Contains([]string{".go", ".md", ".toml", ".py", ".sh", ".mod"}, filepath.Ext(path)) || d.Name() == "Makefile" || d.Name() == "run" {
			paths = append(paths, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Every package says what it is for: in doc.go, or, if it is a program or a single file, above its package clause.
func TestPackageComments(t *testing.T) {
	type pkg struct {
		files   int
		program bool
		where   []string // files with a package comment
	}
	all := map[string]*pkg{}
	for _, f := range sources(t) {
		if f.test() {
			continue
		}
		p := all[f.pkg]
		if p == nil {
			p = &pkg{}
			all[f.pkg] = p
		}
		p.files++
		p.program = f.file.Name.Name == "main"
		if f.file.Doc == nil {
			continue
		}
		p.where = append(p.where, filepath.Base(f.path))
		first, _, _ := strings.Cut(f.file.Doc.Text(), "\n")
		want := "Package " + f.file.Name.Name + " "
		if p.program {
			want = "Command " + filepath.Base(f.pkg) + " "
		}
		if !strings.HasPrefix(first, want) {
			t.Errorf("%s: the package comment begins with %q, want %q", f.path, first, want)
		}
	}
	for name, p := range all {
		switch {
		case len(p.where) == 0:
			t.Errorf("package %s has no package comment: say in doc.go what it is for and what it must not know", name)
		case len(p.where) > 1:
			t.Errorf("package %s has package comments in %s: only one is read", name, p.where)
		case !p.program && p.files > 1 && p.where[0] != "doc.go":
			t.Errorf("package %s: its package comment is in %s, want it in doc.go", name, p.where[0])
		}
	}
}

// Files are named by the concept that they hold.
func TestFileNames(t *testing.T) {
	for _, path := range texts(t) {
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), "_test")
		if slices.Contains([]string{"util", "utils", "helper", "helpers", "common", "misc", "types"}, name) {
			t.Errorf("%s: the name says nothing of what the file holds", path)
		}
	}
}

// What is left to do is in no file: it is done, or it is not promised.
func TestNothingLeftToDo(t *testing.T) {
	marker := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, path := range texts(t) {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := marker.FindString(line); found != "" {
				t.Errorf("%s:%d: %s: do it, or remove the promise", path, i+1, found)
			}
		}
	}
}

// Exported names have comments that begin with the name.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, f := range sources(t) {
		if f.test() || f.file.Name.Name == "main" || ast.IsGenerated(f.file) {
			continue
		}
		for _, d := range f.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !standard(d) {
					t.Errorf("%s: %s has no comment", f.position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
						t.Errorf("%s: type %s has no comment", f.position(s.Pos()), s.Name.Name)
					}
				}
			}
		}
	}
}

// exportedReceiver says whether a function is none of an unexported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = exported || id.IsExported()
		}
		return true
	})
	return exported
}

// standard says whether a method is one whose meaning everybody knows.
func standard(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"Error", "Unwrap", "String", "Is", "Len", "Less", "Swap"}, d.Name.Name)
}

// softLimit is the length above which a file probably holds two concepts.
const softLimit = 400

func TestFileSizes(t *testing.T) {
	for _, f := range sources(t) {
		if n := strings.Count(string(f.text), "\n"); n > softLimit && !ast.IsGenerated(f.file) {
			t.Logf("%s: %d lines, soft limit %d", f.path, n, softLimit)
		}
	}
}

// mostFiles is how many shipping files a package has at most. Beyond it nobody finds a concept by reading names.
const mostFiles = 25

// manyFiles are the packages that have more: two by their nature, whose files are one concept each at the bottom of all, and
// others with a number that may only fall.
var manyFiles = map[string]int{
	"kernel": 0, "op": 0, // any number
}

func TestPackagesAreSmall(t *testing.T) {
	files := map[string]int{}
	for _, f := range sources(t) {
		if !f.test() {
			files[f.pkg]++
		}
	}
	for pkg, n := range files {
		limit, listed := manyFiles[pkg]
		switch {
		case listed && limit == 0:
		case listed && n < limit:
			t.Logf("package %s has %d files, the list says %d: lower it, or remove it at %d", pkg, n, limit, mostFiles)
		case n > max(limit, mostFiles):
			t.Errorf("package %s has %d shipping files, want at most %d: split it by what its files are about", pkg, n, max(limit, mostFiles))
		}
	}
	for pkg, limit := range manyFiles {
		if limit > 0 && limit <= mostFiles {
			t.Errorf("package %s is listed with %d files, which every package may have", pkg, limit)
		}
		if files[pkg] == 0 {
			t.Logf("package %s is listed and does not exist: remove it", pkg)
		}
	}
}
