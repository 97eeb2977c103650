package tests

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports says which packages of this module each package may import: all point down. A new package or a new edge is a
// decision, to be made here.
var imports = map[string][]string{
	"kernel":       {},
	"internal/rng": {},
	"checkpoints":  {},

	"data/chat": {},

	"internal/shell":   {},
	"internal/measure": {},
	"configs":          {"internal/shell"},

	"checkpoints/foreign":             {"checkpoints/foreign/foreigntest"},
	"checkpoints/foreign/foreigntest": {}, // by tests of formats
	"checkpoints/safetensors":         {"checkpoints", "checkpoints/foreign", "checkpoints/foreign/foreigntest"},
	"checkpoints/gguf":                {"checkpoints", "checkpoints/foreign", "checkpoints/foreign/foreigntest"},
	"checkpoints/pickle":              {"checkpoints/foreign", "checkpoints/foreign/foreigntest", "checkpoints/safetensors"}, // the last by its tests
	"checkpoints/onnx":                {"checkpoints", "checkpoints/foreign"},
	"checkpoints/llama2c":             {"checkpoints/foreign", "checkpoints/foreign/foreigntest", "checkpoints/safetensors"}, // the last by its tests

	"factor":     {"kernel", "internal/rng"},
	"factor/cur": {"factor", "kernel", "internal/rng"},
	"discover":   {"factor", "kernel", "internal/rng"},

	"op": {"kernel"},

	"nn":           {"op", "factor", "kernel", "configs", "internal/rng"},
	"nn/nntest":    {"nn", "op", "kernel"}, // by tests of layers: see testKits
	"attention":    {"nn", "op", "configs", "internal/rng"},
	"model/decode": {"attention", "model", "model/decoder", "model/encoder", "nn", "op", "kernel", "internal/rng"},
	"model":        {"nn", "op", "kernel", "configs", "internal/rng"},

	"model/decoder": {"model", "attention", "cost", "nn", "op", "kernel", "configs", "internal/rng"},
	"model/encoder": {"model", "attention", "nn", "op", "kernel", "configs", "internal/rng"},
	"model/lama":    {"model", "attention", "nn", "op", "configs"},
	"model/vit":     {"model", "attention", "nn", "op", "kernel", "configs", "internal/rng"},
	"model/favit":   {"model", "attention", "nn", "op", "kernel", "configs", "internal/rng"},

	"model/denoiser": {"model", "attention", "nn", "op", "configs", "internal/rng"},

	"cost": {"attention", "configs"},

	"recommend":         {"factor", "kernel", "internal/rng"},
	"model/recommender": {"model", "nn", "op", "kernel", "configs", "internal/rng", "recommend"},

	"data":              {"configs", "internal/rng"},
	"data/tokenizers":   {"data", "configs"},
	"data/text":         {"data", "data/tokenizers", "configs", "internal/rng"},
	"data/labelled":     {"data", "data/tokenizers", "configs"},
	"data/interactions": {"data", "configs", "internal/rng"},
	"data/images":       {"data", "configs", "internal/rng"},
	"data/cubes":        {"factor", "internal/rng", "kernel", "configs", "data"},
	"metrics":           {},
	"metrics/plot":      {"metrics"},
	"metrics/progress":  {"metrics"},
	"recipe":            {"data", "data/tokenizers", "data/text", "data/labelled", "data/images", "data/interactions", "configs", "attention", "internal/machine", "kernel", "model", "model/decoder", "model/encoder", "model/lama", "model/favit", "model/recommender", "model/vit", "nn", "data/cubes", "model/denoiser"},

	"internal/machine": {},
	"task":             {"checkpoints", "data", "data/tokenizers", "internal/shell", "kernel", "metrics", "model", "nn", "recipe"},
	"task/corpus":      {"kernel", "nn", "data", "data/text", "data/tokenizers", "model", "recipe", "task"},
	"task/language":    {"data", "data/tokenizers", "internal/machine", "model", "model/decode", "recipe", "task", "task/corpus", "data/text"},
	"task/masked":      {"data", "data/tokenizers", "internal/rng", "model", "recipe", "task", "task/corpus", "data/text"},
	"task/texts":       {"data", "data/labelled", "data/tokenizers", "model", "recipe", "task"},
	"task/ranking":     {"data", "data/interactions", "internal/rng", "metrics", "model", "model/recommender", "nn", "recipe", "recommend", "task"},
	"task/texts/page":  {"task"},
	"task/pairs":       {"data", "data/labelled", "data/tokenizers", "internal/rng", "kernel", "metrics", "model", "recipe", "task"},
	"task/sentence":    {"data", "data/labelled", "data/tokenizers", "model", "recipe", "task", "kernel", "metrics", "model/encoder", "nn"},
	"task/vision":      {"checkpoints", "configs", "data", "data/images", "kernel", "model", "model/favit", "model/vit", "recipe", "task"},
	"task/denoise":     {"internal/rng", "configs", "data/cubes", "data/images", "metrics", "model", "model/denoiser", "recipe", "task"},
	"task/kinds":       {"configs", "recipe", "task", "task/discovery", "task/language", "task/masked", "task/pairs", "task/ranking", "task/sentence", "task/texts", "task/vision", "task/denoise"},
	"interchange":      {"attention", "checkpoints", "checkpoints/foreign", "checkpoints/gguf", "checkpoints/llama2c", "checkpoints/onnx", "checkpoints/pickle", "checkpoints/safetensors", "data", "data/chat", "data/images", "data/tokenizers", "internal/shell", "kernel", "model", "model/decoder", "model/encoder", "model/vit", "recipe", "nn"},
	"interchange/hub":  {"checkpoints", "internal/shell"},
	"saved":            {"checkpoints", "configs", "data", "internal/machine", "internal/shell", "kernel", "model", "nn", "recipe", "task", "task/kinds"},
	"task/discovery":   {"checkpoints", "data/labelled", "discover", "factor", "metrics", "model", "recipe", "task"},

	"task/discovery/atlas": {"factor", "task/discovery"},

	"compress":        {"train", "train/stf", "metrics", "metrics/progress", "factor", "internal/rng", "model", "model/decode", "nn", "kernel", "recipe", "checkpoints", "configs", "internal/machine", "internal/measure", "internal/shell", "saved", "task"},
	"train/page":      {"metrics"},
	"compress/report": {"compress", "checkpoints", "train", "recipe", "saved"},
	"metrics/chart":   {},
	"card":            {"checkpoints", "metrics", "saved"},
	"task/panels":     {"task"},
	"sweep":           {"checkpoints", "compress", "metrics/chart", "configs", "internal/shell", "recipe", "saved", "task", "train"},
	"group":           {"kernel"},
	"train/shard":     {"group", "nn"},
	"train/optim":     {"group", "checkpoints", "kernel", "nn", "recipe", "saved"},
	"train/stf":       {"checkpoints", "factor", "kernel", "metrics", "model", "nn", "recipe", "saved", "train/optim"},
	"train":           {"group", "train/shard", "train/page", "metrics", "metrics/progress", "metrics/plot", "cost", "model", "nn", "op", "kernel", "recipe", "checkpoints", "configs", "internal/shell", "internal/machine", "saved", "task", "train/optim", "train/stf"},

	".": {"data/tokenizers", "metrics", "model", "model/decode", "saved", "task"}, // the front door of the library

	"serve":           {"data/chat", "data/tokenizers", "internal/machine", "kernel", "model", "model/decode", "model/decoder", "saved", "serve/constrain", "task"},
	"serve/constrain": {"data/chat"},
	"extend":          {"checkpoints", "data", "data/tokenizers", "factor", "internal/rng", "internal/shell", "kernel", "model", "nn", "recipe", "saved", "task"},
	"convert":         {"attention", "factor", "model", "model/decoder", "nn", "kernel", "configs", "internal/rng", "recipe", "saved", "task"},

	"retrieval": {"checkpoints", "configs", "data", "data/labelled", "factor", "factor/cur", "internal/rng", "internal/shell", "kernel", "model", "saved", "task"},
	"interpret": {"checkpoints", "configs", "data", "data/text", "data/tokenizers", "factor", "internal/rng", "kernel", "metrics/progress", "model", "model/decode", "saved", "task"},

	"internal/cli":    {"kernel", "configs", "internal/shell"},
	"restore":         {"data/cubes", "factor", "kernel", "internal/rng"},
	"cmd/train":       {"group", "internal/cli", "saved", "sweep", "train", "metrics", "configs", "internal/shell", "internal/machine", "recipe"},
	"cmd/compress":    {"card", "model", "saved", "internal/cli", "checkpoints", "compress", "compress/report", "internal/shell", "sweep"},
	"cmd/model/index": {"checkpoints", "configs", "data", "internal/cli", "internal/shell", "metrics/plot", "metrics/chart", "metrics/progress", "retrieval", "saved", "serve"},
	"cmd/model":       {"card", "cmd/model/index", "internal/cli", "internal/machine", "configs", "convert", "cost", "data", "extend", "factor", "discover", "interchange", "interchange/hub", "interpret", "metrics", "metrics/progress", "model", "model/decode", "model/decoder", "nn", "data/tokenizers", "checkpoints", "internal/shell", "recipe", "saved", "serve", "task", "task/discovery", "task/discovery/atlas", "task/panels", "task/texts/page", "data/cubes", "restore"},

	// What is above everything, and imported by nothing.
	"internal/rename":         {"internal/cli"},
	"examples/notes":          {},
	"examples/service":        {},
	"bench":                   {"compress", "factor", "train", "train/optim", "model", "model/decode", "attention", "nn", "op", "kernel", "checkpoints", "configs", "internal/measure", "internal/rng", "recipe", "data/labelled", "model/decoder", "model/encoder", "model/favit", "model/lama", "interchange", "saved", "task/kinds", "task/sentence"},
	"internal/pages":          {"internal/cli", "compress", "configs", "cost", "interpret", "recipe"},
	"tests/attack":            {"checkpoints", "internal/cli", "internal/shell"},
	"tests/walks":             {"internal/cli", "compress", "recipe"},
	"tests/claims/interval":   {},
	"tests/claims/provenance": {"kernel"},
	"tests/claims/shift":      {"checkpoints", "configs", "data/images", "data/labelled", "discover", "factor", "internal/rng", "model", "recipe", "saved", "task", "task/discovery", "train", "tests/claims/interval", "tests/claims/provenance"},
	"tests/claims":            {"metrics/chart", "data/interactions", "interchange", "internal/shell", "compress", "factor", "train", "train/stf", "tests/claims/interval", "tests/claims/provenance", "model", "model/decoder", "model/encoder", "model/favit", "model/lama", "attention", "nn", "op", "kernel", "recipe", "data/text", "data/labelled", "data/images", "data/tokenizers", "checkpoints", "configs", "internal/measure", "internal/rng", "saved", "task"},
	"tests/claims/neighbours": {"checkpoints", "configs", "factor", "factor/cur", "internal/rng", "metrics/chart", "retrieval", "tests/claims/interval", "tests/claims/provenance"},
	"tests/claims/vocabulary": {"metrics/chart", "checkpoints", "configs", "data", "data/text", "data/tokenizers", "extend", "internal/rng", "model", "recipe", "saved", "task", "train", "tests/claims/interval", "tests/claims/provenance"},
	"tests":                   {"attention", "compress", "train", "train/optim", "metrics", "model", "model/decoder", "model/encoder", "model/favit", "internal/rng", "model/decode", "nn", "op", "kernel", "data/tokenizers", "checkpoints", "configs", "internal/shell", "recipe", "saved", "task", "task/kinds", "data", "data/text", "discover", "factor"},
}

// testImports are what the tests of a package may import beside that.
var testImports = map[string][]string{
	"card":            {"configs", "data/text", "model", "model/decoder", "recipe", "train"},
	"compress":        {"data/images", "data/labelled", "data/text", "model/decoder", "model/encoder", "model/favit"},
	"compress/report": {"configs", "data/text", "model/decoder"},
	"convert":         {"data/text", "train"},
	"extend":          {"model/decoder", "model/encoder"},
	"interchange":     {"configs", "saved", "model/decode", "op"},
	"serve":           {"checkpoints", "configs", "internal/rng", "nn", "recipe", "task/kinds"},
	"task/corpus":     {"configs", "model/decoder"},
	"task/discovery":  {"internal/rng"},
	"task/pairs":      {"configs", "model/encoder", "nn"},
	"task/sentence":   {"configs", "model/encoder", "nn"},
	"task/kinds":      {"model/favit", "data/labelled"},
	"train":           {"attention", "factor", "data", "data/images", "data/labelled", "data/text", "data/tokenizers", "internal/rng", "model/decode", "model/decoder", "model/encoder", "model/favit", "model/lama", "model/vit"},
	"group":           {"internal/rng"},
	"train/shard":     {"internal/rng", "op"},
	"train/optim":     {"configs", "model", "model/decoder", "op"},
	"train/stf":       {"configs", "internal/rng", "model/decoder"},
}

// testKits are packages for tests of others. The tests of any package may import them from outside of it (package x_test), of
// the very package too that a kit is for; nothing that ships may.
var testKits = []string{"nn/nntest"}

// modules says which packages may use a module from outside in what they ship. Tests may use any of go.mod.
var modules = map[string][]string{
	"gorgonia.org/gorgonia":      {"op", "nn", "attention", "model", "model/decoder", "model/encoder", "model/lama", "model/favit", "model/recommender", "model/vit", "nn/nntest", "bench", "tests/claims", "model/denoiser"},
	"gorgonia.org/tensor":        {"op", "nn", "attention", "model", "model/decoder", "model/favit", "model/vit", "train", "train/optim", "train/shard", "train/stf", "convert", "extend", "compress", "bench", "tests/claims", "nn/nntest", "saved", "task/language", "interchange"},
	"github.com/chewxy/hm":       {"op"},
	"github.com/BurntSushi/toml": {"configs"},
	"github.com/sbinet/npyio":    {"bench"},
	"github.com/gofrs/flock":     {"checkpoints"},
	"github.com/spf13/cobra":     {"internal/cli", "cmd/train", "cmd/model", "cmd/model/index", "cmd/compress", "bench", "tests/claims", "tests/walks", "tests/attack", "internal/pages", "internal/rename"},
	"golang.org/x/sys":           {"kernel", "checkpoints", "train", "bench", "internal/machine"},
	"golang.org/x/term":          {"metrics/progress"},
	"github.com/ardanlabs/jinja": {"data/chat"},
	"github.com/rivo/uniseg":     {"data/tokenizers"},
	"golang.org/x/text":          {"data/tokenizers"},
	"gonum.org/v1/plot":          {"metrics/plot", "tests/claims"},
	"golang.org/x/image":         {"task/panels"},
	"google.golang.org/protobuf": {"metrics", "checkpoints/onnx"},

	"github.com/prometheus/client_golang":      {"serve"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"serve/constrain"},
	"github.com/spf13/pflag":                   {"cmd/model"},
}

func TestImportsPointDown(t *testing.T) {
	unknown := map[string]bool{}
	for _, f := range sources(t) {
		allowed, known := imports[f.pkg]
		if !known {
			if !unknown[f.pkg] {
				t.Errorf("package %s is not in the table of imports: say there what it may import", f.pkg)
			}
			unknown[f.pkg] = true
			continue
		}
		for _, path := range f.imports() {
			own, inside := strings.CutPrefix(path, "sparrow/")
			switch {
			case inside:
				if f.test() && strings.HasSuffix(f.file.Name.Name, "_test") && slices.Contains(testKits, own) {
					break
				}
				if f.test() {
					allowed = slices.Concat(imports[f.pkg], testImports[f.pkg])
				}
				if own != f.pkg && !slices.Contains(allowed, own) {
					t.Errorf("%s: package %s imports %s; the table of imports allows %s", f.path, f.pkg, own, allowed)
				}
			case !f.test() && strings.Contains(strings.Split(path, "/")[0], "."):
				users, known := modules[module(path)]
				if !known || !slices.Contains(users, f.pkg) {
					t.Errorf("%s: package %s imports %s; the table of modules allows %s", f.path, f.pkg, path, users)
				}
			}
		}
	}
}

// module is the entry of modules that a path belongs to, or the path.
func module(path string) string {
	for m := range modules {
		if path == m || strings.HasPrefix(path, m+"/") {
			return m
		}
	}
	return path
}

// The tables themselves allow no cycle: whoever may be imported may not import back.
func TestImportTableHasNoCycle(t *testing.T) {
	var reaches func(from, to string, seen map[string]bool) bool
	reaches = func(from, to string, seen map[string]bool) bool {
		for _, next := range imports[from] {
			if next == to {
				return true
			}
			if !seen[next] {
				seen[next] = true
				if reaches(next, to, seen) {
					return true
				}
			}
		}
		return false
	}
	for pkg, allowed := range imports {
		if reaches(pkg, pkg, map[string]bool{}) {
			t.Errorf("package %s reaches itself", pkg)
		}
		for _, a := range allowed {
			if _, known := imports[a]; !known {
				t.Errorf("package %s may import %s, which is not in the table", pkg, a)
			}
		}
	}
}

// gorgonia lists what may be used of Gorgonia: graphs, nodes, differentiation and the machine. Its own operators are not
// on the list, because they are slow and several have wrong gradients: arithmetic on nodes is package op's.
var gorgonia = map[string][]string{
	"": {"Node", "Nodes", "Value", "VM", "NewTapeMachine"},
	"op": {
		"ExprGraph", "NewGraph", "NewTensor", "NodeConsOpt", "WithShape", "WithName", "WithValue", "TensorType",
		"ApplyOp", "Must", "DimSizer", "Backpropagate", "Sort",
	},
}

func TestNoStockOperators(t *testing.T) {
	for _, f := range sources(t) {
		name := f.nameOf("gorgonia.org/gorgonia")
		if name == "" || f.test() {
			continue
		}
		if name == "." {
			t.Errorf("%s: a dot import hides what is Gorgonia's", f.path)
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == name && !slices.Contains(gorgonia[""], s.Sel.Name) && !slices.Contains(gorgonia[f.pkg], s.Sel.Name) {
				t.Errorf("%s: package %s uses gorgonia.%s, which is not on the list of what may be used", f.position(s.Pos()), f.pkg, s.Sel.Name)
			}
			return true
		})
	}
}

// imports lists what a file imports.
func (f source) imports() []string {
	var paths []string
	for _, spec := range f.file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it
		}
		paths = append(paths, path)
	}
	return paths
}

// nameOf is the name under which a file imports a path, "" if it does not.
func (f source) nameOf(path string) string {
	for _, spec := range f.file.Imports {
		if spec.Path.Value != strconv.Quote(path) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}
