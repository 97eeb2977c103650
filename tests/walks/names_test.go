package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var qualified = regexp.MustCompile("`([a-z]+)\\.([A-Z]\\w*)(?:\\.([A-Z]\\w*))?(?:\\(\\))?`")

// Names of Go that pages say are declared where they say.
func TestNamesOfPagesExist(t *testing.T) {
	declared := exported(t)
	everyPage(t, func(t *testing.T, page, text string) {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range qualified.FindAllStringSubmatch(line, -1) {
				names, ours := declared[m[1]]
				if !ours {
					continue // of another module
				}
				for _, name := range m[2:] {
					if name != "" && !names[name] {
						t.Errorf("%s:%d: package %s has no %s", page, i+1, m[1], name)
					}
				}
			}
		}
	})
}

// exported are the names that each package of the module declares, methods and fields among them, by the package's name.
func exported(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "avogen" || entry.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		names := all[file.Name.Name]
		if names == nil {
			names = map[string]bool{}
			all[file.Name.Name] = names
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
				return false
			case *ast.TypeSpec:
				names[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			case *ast.Field:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("packages: %d, %v", len(all), err)
	}
	return all
}
