package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a program that imports package sparrow alone may link beside it: modules, and bytes of a static program with its symbols and
// without. Recommenders, denoisers and the discovery of classes took 2 MB: any checkpoint can be opened.
const (
	mostModules  = 24
	mostBytes    = 30_500_000
	mostStripped = 21_500_000
)

// goTool runs the go command in a folder and returns what it prints.
func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var problems strings.Builder
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, &problems)
	}
	return string(out)
}

// TestUsingLinksLittle: a program that uses models by package sparrow links neither the trainer, nor plots, nor the command line,
// nor a network, and few modules.
func TestUsingLinksLittle(t *testing.T) {
	modules := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(goTool(t, root, "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", "./tests/testdata/using")), "\n") {
		pkg, module, _ := strings.Cut(line, " ")
		if module != "" && module != "sparrow" {
			modules[module] = true
		}
		for _, never := range []string{"sparrow/train", "sparrow/compress", "sparrow/metrics/plot", "sparrow/interchange", "sparrow/internal/cli",
			"github.com/spf13", "gonum.org/v1/plot", "golang.org/x/term", "html/template", "net/http"} {
			if pkg == never || strings.HasPrefix(pkg, never+"/") {
				t.Errorf("package %s is linked", pkg)
			}
		}
	}
	if len(modules) > mostModules || len(modules) < 5 {
		var names []string
		for m := range modules {
			names = append(names, m)
		}
		slices.Sort(names)
		t.Errorf("%d modules are linked, want at most %d: %q", len(modules), mostModules, names)
	}
	if testing.Short() {
		return
	}
	for _, c := range []struct {
		flags string
		most  int64
	}{{"", mostBytes}, {"-s -w", mostStripped}} {
		program := filepath.Join(t.TempDir(), "using")
		goTool(t, root, "build", "-ldflags="+c.flags, "-o", program, "./tests/testdata/using")
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d modules, -ldflags=%q: %.2f MB", len(modules), c.flags, float64(info.Size())/1e6)
		if info.Size() > c.most {
			t.Errorf("-ldflags=%q: %d bytes, want at most %d", c.flags, info.Size(), c.most)
		}
	}
}

// TestRenamedModuleBuilds: the documented command gives the module another path, by which all of it builds.
func TestRenamedModuleBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every package anew")
	}
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Skipf("no git: %v", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, filepath.Join(dir, name), content)
	}
	goTool(t, dir, "run", "./internal/rename", "example.com/me/sparrow")
	goTool(t, dir, "build", "./...")
	if got := goTool(t, dir, "list", "."); strings.TrimSpace(got) != "example.com/me/sparrow" {
		t.Errorf("the module is %q", got)
	}
	goTool(t, dir, "test", "-run", "^Example", ".")
}
