package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sparrow/compress"
	"sparrow/recipe"
)

const root = "../.." // of the module

// everyPage calls f for each page of the documents.
func everyPage(t *testing.T, f func(t *testing.T, page string, text string)) {
	t.Helper()
	all, err := pages(root)
	if err != nil || len(all) < 10 {
		t.Fatalf("pages: %q, %v", all, err)
	}
	for _, page := range all {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(page, func(t *testing.T) { f(t, page, string(text)) })
	}
}

// helps caches what programs say of their flags.
var helps sync.Map

func helpOf(name string) (flags, error) {
	ask, _ := helps.LoadOrStore(name, sync.OnceValues(func() (flags, error) { return help(root, name) }))
	return ask.(func() (flags, error))()
}

// shell lists programs of any machine, which are run as they stand.
var shell = []string{"cat", "printf", "head", "mkdir", "cp"}

// tools are those besides that the walks of users run, on machines that test.
var tools = []string{"awk", "cd", "grep", "rm", "test"}

// check says what is wrong with a command: an unknown flag, a config that does not load.
func check(c Command, files map[string]string) error {
	split, err := words(c.Text)
	if err != nil {
		return err
	}
	name, args := program(split)
	switch {
	case strings.HasPrefix(name, "go run ./"):
	case name == "make":
		return listed(args, regexp.MustCompile(`(?m)^(\w+):`), "Makefile")
	case name == ".ci/run":
		return listed(args, regexp.MustCompile(`(?m)^step_(\w+)\(\)`), ".ci/run")
	case c.Block.Mark.Skip != "" || slices.Contains(shell, name) || strings.HasPrefix(c.Block.Page, users) && slices.Contains(tools, name):
		return nil
	default:
		return fmt.Errorf("%s is not on every machine: mark it with a reason to skip it", name)
	}
	if testing.Short() && !strings.HasPrefix(name, "go run ./cmd/") {
		return nil // to ask it for its flags it must be built
	}
	known, err := helpOf(name)
	if err != nil {
		return err
	}
	values, rest, err := known.parse(args)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case name == "go run ./tests/claims":
		for _, claim := range rest {
			if _, err := os.Stat(filepath.Join(root, "tests/claims", claim+".toml")); err != nil {
				return err
			}
		}
	case name == "go run ./cmd/train run", name == "go run ./cmd/compress plan", name == "go run ./cmd/compress run":
		file := append(values["-c"], values["--config"]...)
		if len(file) != 1 {
			return fmt.Errorf("%s: want one config, got %q", name, file)
		}
		text, own := files[file[0]]
		if !own {
			shipped, err := os.ReadFile(filepath.Join(root, file[0]))
			if os.IsNotExist(err) && c.Block.Mark.Skip == "" {
				return nil // made by an earlier command
			} else if err != nil {
				return err
			}
			text = string(shipped)
		}
		return load(text, values["--set"])
	}
	return nil
}

// listed says whether the words are among those that a file of the module lists.
func listed(words []string, line *regexp.Regexp, file string) error {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return err
	}
	for _, word := range words {
		if !slices.ContainsFunc(line.FindAllStringSubmatch(string(text), -1), func(m []string) bool { return m[1] == word }) {
			return fmt.Errorf("%s has no %s", file, word)
		}
	}
	return nil
}

// load decodes the text of a config of a run or of a compression.
func load(text string, set []string) error {
	dir, err := os.MkdirTemp("", "sparrow-config-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "page.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if strings.Contains(text, "[compress]") {
		_, err = compress.Load(file, set)
	} else {
		_, err = recipe.Load(file, set)
	}
	return err
}

// The commands of every page have the flags that they use, and their configs load.
func TestCommandsOfPagesParse(t *testing.T) {
	everyPage(t, func(t *testing.T, page, text string) {
		all, err := blocks(page, text)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, b := range all {
			if b.Mark.File != "" {
				files[b.Mark.File] = b.Text
			}
			for _, c := range b.commands() {
				if err := check(c, files); err != nil {
					t.Errorf("%s: %s: %v", c.where(), c.Text, err)
				}
			}
		}
	})
}

var span = regexp.MustCompile("`(go run \\./[^`]+)`")

// So do the commands within sentences.
func TestCommandsInSentencesParse(t *testing.T) {
	everyPage(t, func(t *testing.T, page, text string) {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				if strings.HasSuffix(m[1], "...") || len(strings.Fields(m[1])) == 3 && strings.HasPrefix(m[1], "go run ./cmd/") {
					continue // the program itself is meant
				}
				c := Command{Block: &Block{Page: page, Mark: Mark{Skip: "a sentence"}}, Line: i + 1, Text: m[1]}
				if err := check(c, nil); err != nil {
					t.Errorf("%s: %s: %v", c.where(), c.Text, err)
				}
			}
		}
	})
}

// Every TOML that a page shows is one that loads.
func TestConfigsOfPagesLoad(t *testing.T) {
	shown := 0
	everyPage(t, func(t *testing.T, page, text string) {
		all, err := blocks(page, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			if b.Language != "toml" {
				continue
			}
			shown++
			if err := load(b.Text, nil); err != nil {
				t.Errorf("%s:%d: a config does not load:\n%v", page, b.Line, err)
			}
		}
	})
	if shown < 10 {
		t.Errorf("the pages show %d configs: this test finds too few", shown)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)

// Links to files of the module lead somewhere.
func TestLinksOfPagesLead(t *testing.T) {
	everyPage(t, func(t *testing.T, page, text string) {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), m[1])); err != nil {
					t.Errorf("%s:%d: %v", page, i+1, err)
				}
			}
		}
	})
}

// A first page is one that is read.
func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 10_000 {
		t.Errorf("README.md has %d bytes, want at most 10000: the rest belongs in docs/", len(text))
	}
}

var usage = regexp.MustCompile("(?m)^\\| `(train|model|compress) ((?:interpret|index) \\w+|\\w+)([^`]*)` \\|")

// docs/commands.md has every command with each of its flags, and no other.
func TestCommandsPageIsComplete(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	flagName := regexp.MustCompile(`(?:^|[ \[|])(--?[a-z][\w-]*)`)
	found := map[string]bool{}
	for _, m := range usage.FindAllStringSubmatch(string(text), -1) {
		name := "go run ./cmd/" + m[1] + " " + m[2]
		known, err := helpOf(name)
		if err != nil {
			t.Error(err)
			continue
		}
		found[m[1]+" "+m[2]] = true
		var shown []string
		for _, flag := range flagName.FindAllStringSubmatch(m[3], -1) {
			shown = append(shown, flag[1])
			if _, ok := known[flag[1]]; !ok {
				t.Errorf("docs/commands.md: %s %s has no flag %s", m[1], m[2], flag[1])
			}
		}
		for long := range known {
			short := map[string]string{"--config": "-c", "--output": "-o"}[long]
			if strings.HasPrefix(long, "--") && long != "--help" && long != "--threads" && !slices.Contains(shown, long) && !slices.Contains(shown, short) {
				t.Errorf("docs/commands.md: the line of %s %s lacks %s", m[1], m[2], long)
			}
		}
	}
	for _, program := range []string{"train", "model", "compress"} {
		for _, verb := range verbs(t, program) {
			if !found[program+" "+verb] {
				t.Errorf("docs/commands.md has no line of %s %s", program, verb)
			}
		}
	}
}

// verbs are the commands of a program by its files: a file a command, but for those that several share.
func verbs(t *testing.T, program string) []string {
	t.Helper()
	var all []string
	use, group := regexp.MustCompile(`Use: +"(\w+) `), regexp.MustCompile(`Use: +"(\w+)",`)
	files, err := filepath.Glob(filepath.Join(root, "cmd", program, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("cmd/%s: %q, %v", program, files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		above := ""
		if m := group.FindStringSubmatch(string(text)); m != nil && m[1] != program { // a command of commands
			above = m[1] + " "
		}
		for _, m := range use.FindAllStringSubmatch(string(text), -1) {
			all = append(all, above+m[1])
		}
	}
	if len(all) < 2 {
		t.Fatalf("cmd/%s: found %q", program, all)
	}
	return all
}
