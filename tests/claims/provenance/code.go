package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is the path that import paths of this module begin with.
const module = "sparrow"

// Code is the hash of the source of packages and of all packages of the module that they import: every file but tests, so that
// assembly and embedded tables count too. root is the module's folder.
func Code(root string, packages ...string) (string, error) {
	seen := map[string]bool{}
	for len(packages) > 0 {
		path := packages[0]
		packages = packages[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		more, err := imports(folder(root, path))
		if err != nil {
			return "", err
		}
		packages = append(packages, more...)
	}
	var all []string
	for path := range seen {
		all = append(all, path)
	}
	slices.Sort(all)
	h := sha256.New()
	for _, path := range all {
		files, err := sources(folder(root, path))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s/%s %d\n%s", path, filepath.Base(file), len(text), text)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func folder(root, path string) string {
	return filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(path, module), "/")))
}

// sources are the files of a folder but tests, in order.
func sources(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), "_test.go") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// imports are the packages of the module that those of a folder import, whatever they are built for.
func imports(dir string) ([]string, error) {
	files, err := sources(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range files {
		if filepath.Ext(file) != ".go" {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		for _, s := range parsed.Imports {
			path, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return nil, err
			}
			if path == module || strings.HasPrefix(path, module+"/") {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}
