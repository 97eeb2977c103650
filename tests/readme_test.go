package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/compress"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
)

// document returns a file of the module.
func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// blocks are the code blocks of a text in one language.
func blocks(t *testing.T, text, language string) []string {
	t.Helper()
	var found []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("no code block in %q", language)
	}
	return found
}

// lines are the lines of a text without surrounding space.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

// The command that the README gives for the tests is the one that CI runs.
func TestReadmeTestCommandIsRunByCI(t *testing.T) {
	const command = "go test ./..."
	if shell := strings.Join(blocks(t, document(t, "README.md"), "sh"), ""); !slices.Contains(lines(shell), command) {
		t.Errorf("README.md: no line %q in a shell block", command)
	}
	if !slices.Contains(lines(document(t, ".ci/run")), command) {
		t.Errorf(".ci/run: no line %q", command)
	}
}

// The steps that make asks for are steps of .ci/run.
func TestMakeRunsStepsOfCI(t *testing.T) {
	script := document(t, ".ci/run")
	for _, m := range regexp.MustCompile(`(?m)^\t\.ci/run(.*)$`).FindAllStringSubmatch(document(t, "Makefile"), -1) {
		for _, step := range strings.Fields(m[1]) {
			if !strings.Contains(script, "\nstep_"+step+"() {") {
				t.Errorf("Makefile: .ci/run has no step %s", step)
			}
		}
	}
}

func TestShippedConfigsLoad(t *testing.T) {
	shipped, err := filepath.Glob(filepath.Join(root, "configs", "*.toml"))
	if err != nil || len(shipped) == 0 {
		t.Fatalf("no shipped configs: %v", err)
	}
	for _, file := range shipped {
		if err := loadConfig(file, strings.HasPrefix(filepath.Base(file), "compress-")); err != nil {
			t.Error(err)
		}
	}
}

// loadConfig reads the config of a run or of a compression.
func loadConfig(file string, compression bool) error {
	if compression {
		_, err := compress.Load(file, nil)
		return err
	}
	_, err := recipe.Load(file, nil)
	return err
}

// The README's first figure is what its first command trains.
func TestReadmeCountsTheQuickstart(t *testing.T) {
	cfg, err := recipe.Load(filepath.Join(root, "configs", "quickstart.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if made, _ := cfg.Data.Tokenizer(); made.Tokenizer != "byte" {
		t.Fatalf("the quickstart's tokenizer is %q; this test knows the vocabulary of byte", made.Tokenizer)
	}
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	if _, err := cfg.Model.NewSession(model.Dims{VocabSize: 256, Context: cfg.Data.SeqLen()}, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	millions := float64(store.Parameters()) / 1e6
	text := strings.Join(strings.Fields(document(t, "README.md")), " ")
	if want := fmt.Sprintf("trains a decoder of %.2f million parameters", millions); !strings.Contains(text, want) {
		t.Errorf("README.md: no %q, and configs/quickstart.toml has %d parameters", want, store.Parameters())
	}
	if want := fmt.Sprintf("of %.1fM parameters", millions); !strings.Contains(document(t, "configs/quickstart.toml"), want) {
		t.Errorf("configs/quickstart.toml: its comment has no %q", want)
	}
}

// The Go of docs/library.md is the example that is compiled and run.
func TestDocumentedGoIsTheExample(t *testing.T) {
	source := document(t, "tests/example_test.go")
	service := document(t, "examples/service/main.go")
	for _, block := range blocks(t, document(t, "docs/library.md"), "go") {
		if block == service {
			continue
		}
		if !strings.Contains(source, block) {
			t.Errorf("docs/library.md: this is not in tests/example_test.go:\n%s", block)
		}
	}
}

// Files and folders that the documents name exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	path := regexp.MustCompile("`((?:" + strings.Join(rooms(t), "|") + "|\\.ci)/[\\w./*-]*)")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	methods, err := filepath.Glob(filepath.Join(root, "docs", "methods", "*.md"))
	if err != nil || len(methods) < 7 {
		t.Fatalf("docs/methods: %q, %v", methods, err)
	}
	names := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, page := range append(pages, methods...) {
		rel, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.ToSlash(rel))
	}
	for _, name := range names {
		for _, m := range path.FindAllStringSubmatch(document(t, name), -1) {
			if found, err := filepath.Glob(filepath.Join(root, m[1])); err != nil || len(found) == 0 {
				t.Errorf("%s: %s does not exist", name, m[1])
			}
		}
	}
}

// rooms are the module's folders of Go, by their first part: what a path in a document may begin with.
func rooms(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, f := range sources(t) {
		if room, _, _ := strings.Cut(f.pkg, "/"); !slices.Contains(all, room) {
			all = append(all, room)
		}
	}
	if len(all) < 10 {
		t.Fatalf("found %q only", all)
	}
	return all
}
