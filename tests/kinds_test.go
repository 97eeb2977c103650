package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// kindNames are the kinds that the shipped lists name, by concept. Names that a Choice or Kind gives itself are added.
var kindNames = map[string][]string{
	"attention": {"mha", "gqa", "mqa", "mfa", "mfa_kr", "mla"},
	"map":       {"fasa", "global", "window"},
	"pooling":   {"lama", "single", "structured", "mean"},
	"linear":    {"dense", "low_rank", "sltrain", "dense_sparse", "lora"},
	"network":   {"decoder", "encoder", "lama", "favit", "vit"},
	"method":    {"svd", "fwsvd", "tfwsvd", "svd_llm", "asvd", "magnitude", "dsformer", "quantize", "auto"},
	"source":    {"goroot", "text", "tsv", "imdb", "image_folder", "mnist"},
}

// ownWords are the packages in which such a word means something else, or where a flag has words of its own, with the reason.
var ownWords = map[string]string{
	"op mean":                 "a way to fuse windows, op.Fusions",
	"interchange decoder":     "a key of Hugging Face's tokenizer.json",
	"interchange single":      "a key of Hugging Face's tokenizer.json",
	"model/encoder mean":      "a pooling of [model.sentence], encoder.Poolings",
	"cmd/model text":          "a format of what embed prints",
	"cmd/model auto":          "leaves noise and rank to the cube",
	"restore denoise":         "what is wrong with a cube, restore.Task",
	"data/tokenizers decoder": "a key of Hugging Face's tokenizer.json",
	"data/tokenizers single":  "a key of Hugging Face's tokenizer.json",
	"interchange none":        "a way of GGUF to scale rotary angles",
	"serve text":              "a type of content parts and formats in OpenAI's interface",
	"serve auto":              "leaves it to the model whether it calls a tool, in OpenAI's interface",
	"serve none":              "no tool is to be called, in OpenAI's interface",
	"bench svd":               "a command of the worker's protocol",
	"compress dense":          `[[compress.layer]] method = "dense": the layer stays as it is`,
}

// namedUse is a kind's name that decides something.
type namedUse struct {
	file string // from the module's folder
	line int
	name string
	how  string
}

// TestNoKindIsNamed: outside the file that defines it, no kind's name is compared, switched on or used as a map's key.
func TestNoKindIsNamed(t *testing.T) {
	var uses []namedUse
	defined := map[string][]string{} // files by name
	packages := checkedPackages(t)
	for _, p := range packages {
		for _, f := range p.files {
			for name := range p.defines(f) {
				defined[name] = append(defined[name], p.path(f))
			}
		}
	}
	names := map[string]bool{}
	for _, list := range kindNames {
		for _, name := range list {
			names[name] = true
		}
	}
	for name := range defined {
		names[name] = true
	}
	for _, p := range packages {
		for _, f := range p.files {
			for _, u := range p.uses(f, names) {
				if !slices.Contains(defined[u.name], u.file) && ownWords[filepath.ToSlash(filepath.Dir(u.file))+" "+u.name] == "" {
					uses = append(uses, u)
				}
			}
		}
	}
	for _, u := range uses {
		t.Errorf("%s:%d: the name of kind %q is %s: ask the kind, or its list", u.file, u.line, u.name, u.how)
	}
}

// TestKindNamesAreFound: planted names are found, as literals and as constants.
func TestKindNamesAreFound(t *testing.T) {
	const text = `package planted
import "slices"
const multi = "mha"
type name string
const own name = "mqa"
type Choice struct { Name string; New func() int }
var list = []Choice{{Name: "toy"}, {"game", nil}}
func f(s string, n name, m map[string]int) bool {
	switch s {
	case multi: // 10
		return true
	}
	if s == "gqa" || n != own || m["mla"] > 0 { // 13, 13, 13
		return false
	}
	_ = map[string]int{"mfa": 1, "other": 2} // 16
	return slices.Contains([]string{"x", "svd"}, s) || "toy" == s || s == "game" || s == "x" // 17, 17, 17
}
func g(s string) string { return "mha" + multi }
`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, filepath.Join(root, "planted.go"), text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	p := checked{set: set, files: []*ast.File{file}}
	if err := p.check("planted", importer.Default()); err != nil {
		t.Fatal(err)
	}
	names := p.defines(file)
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, []string{"game", "toy"}) {
		t.Errorf("defined %q, want game and toy", got)
	}
	for _, list := range kindNames {
		for _, name := range list {
			names[name] = true
		}
	}
	var got []string
	for _, u := range p.uses(file, names) {
		got = append(got, fmt.Sprint(u.line, " ", u.name))
	}
	slices.Sort(got)
	want := []string{"10 mha", "13 gqa", "13 mla", "13 mqa", "16 mfa", "17 game", "17 svd", "17 toy"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// checked is a package of this module with its types, without tests.
type checked struct {
	set   *token.FileSet
	files []*ast.File
	info  types.Info
}

// check finds the types.
func (p *checked) check(path string, from types.Importer) error {
	p.info = types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: from}
	_, err := config.Check(path, p.set, p.files, &p.info)
	return err
}

// checkedPackages are all packages of this module, as they are built here.
func checkedPackages(t *testing.T) []checked {
	t.Helper()
	c := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,GoFiles,Dir,Module", "./...")
	c.Dir = root
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", c.Args, err, stderr.String())
	}
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
		Module                  *struct{ Main bool }
	}
	exports, own := map[string]string{}, []listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var l listed
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		exports[l.ImportPath] = l.Export
		if l.Module != nil && l.Module.Main {
			own = append(own, l)
		}
	}
	set := token.NewFileSet()
	from := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	module, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var all []checked
	for _, l := range own {
		p := checked{set: set}
		for _, name := range l.GoFiles {
			rel, err := filepath.Rel(module, filepath.Join(l.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(set, filepath.Join(root, rel), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, f)
		}
		if err := p.check(l.ImportPath, from); err != nil {
			t.Fatalf("%s: %v", l.ImportPath, err)
		}
		all = append(all, p)
	}
	if len(all) < 15 {
		t.Fatalf("found %d packages", len(all))
	}
	return all
}

// path is a file's from the module's folder.
func (p checked) path(f *ast.File) string {
	rel, err := filepath.Rel(root, p.set.Position(f.Package).Filename)
	if err != nil {
		panic(err)
	}
	return filepath.ToSlash(rel)
}

// text is the value of a constant string.
func (p checked) text(e ast.Expr) (string, bool) {
	v := p.info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(v), true
}

// defines are the names that a file gives: those of structs Choice and Kind.
func (p checked) defines(f *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		named, ok := types.Unalias(p.info.Types[lit].Type).(*types.Named)
		if !ok || named.Obj().Name() != "Choice" && named.Obj().Name() != "Kind" {
			return true
		}
		s, ok := named.Underlying().(*types.Struct)
		if !ok {
			return true
		}
		for i, e := range lit.Elts {
			field := ""
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				field, e = kv.Key.(*ast.Ident).Name, kv.Value
			} else if i < s.NumFields() {
				field = s.Field(i).Name()
			}
			if name, ok := p.text(e); ok && field == "Name" {
				names[name] = true
			}
		}
		return true
	})
	return names
}

// uses are the names that decide something in a file.
func (p checked) uses(f *ast.File, names map[string]bool) (all []namedUse) {
	add := func(how string, exprs ...ast.Expr) {
		for _, e := range exprs {
			if name, ok := p.text(e); ok && names[name] {
				all = append(all, namedUse{p.path(f), p.set.Position(e.Pos()).Line, name, how})
			}
		}
	}
	isMap := func(e ast.Expr) bool {
		t := p.info.Types[e].Type
		if t == nil {
			return false
		}
		_, ok := t.Underlying().(*types.Map)
		return ok
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				add("compared", n.X, n.Y)
			}
		case *ast.SwitchStmt:
			if n.Tag == nil {
				break
			}
			for _, s := range n.Body.List {
				add("switched on", s.(*ast.CaseClause).List...)
			}
		case *ast.IndexExpr:
			if isMap(n.X) {
				add("a map's key", n.Index)
			}
		case *ast.CompositeLit:
			if isMap(n) {
				for _, e := range n.Elts {
					add("a map's key", e.(*ast.KeyValueExpr).Key)
				}
			}
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || p.info.Uses[s.Sel] == nil || p.info.Uses[s.Sel].Pkg() == nil {
				break
			}
			switch path := p.info.Uses[s.Sel].Pkg().Path(); {
			case path == "slices" && (s.Sel.Name == "Contains" || s.Sel.Name == "Index") || path == "strings" && s.Sel.Name == "EqualFold":
				for _, a := range n.Args {
					add("compared", a)
					if lit, ok := a.(*ast.CompositeLit); ok {
						add("compared", lit.Elts...)
					}
				}
			}
		}
		return true
	})
	return all
}
