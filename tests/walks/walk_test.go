package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBlocksAndMarks(t *testing.T) {
	const text = "# Page\n\n<!-- ci: short eval.tokens=512 -->\n```console\n$ go run ./cmd/train run \\\n    -c a.toml\nloss  1\n\nnext:\n$ ls\n```\n\n```sh\n# a comment\nmake ci\n```\n"
	all, err := blocks("page.md", text)
	if err != nil || len(all) != 2 {
		t.Fatalf("blocks: %v, %v", all, err)
	}
	if m := all[0].Mark; !m.Short || !slices.Equal(m.Sets, []string{"eval.tokens=512"}) {
		t.Errorf("mark %+v, want short with one setting", m)
	}
	first := all[0].commands()
	if len(first) != 2 || first[0].Text != "go run ./cmd/train run -c a.toml" || first[0].where() != "page.md:5" || len(first[0].Shown) != 3 || first[1].Shown != nil {
		t.Errorf("commands of the first block: %+v", first)
	}
	if line, err := first[0].line(""); err != nil || line != "go run ./cmd/train run -c a.toml --set train.steps=2 --set train.warmup_steps=0 --set eval.tokens=512" {
		t.Errorf("made short: %q, %v", line, err)
	}
	if second := all[1].commands(); len(second) != 1 || second[0].Text != "make ci" || second[0].Line != 15 {
		t.Errorf("commands of the second block: %+v", second)
	}
}

func TestBadMarks(t *testing.T) {
	for name, text := range map[string]string{
		"no reason":     "<!-- ci: skip -->\n```sh\nls\n```\n",
		"unknown":       "<!-- ci: quick -->\n```sh\nls\n```\n",
		"not a setting": "<!-- ci: short two -->\n```sh\nls\n```\n",
		"apart":         "<!-- ci: short -->\n\n```sh\nls\n```\n",
		"in a line":     "text <!-- ci: short -->\n",
		"outside":       "<!-- ci: file ../x -->\n```toml\n```\n",
		"open":          "```sh\nls\n",
	} {
		if all, err := blocks("page.md", text); err == nil {
			t.Errorf("%s: no error for %q: %+v", name, text, all)
		}
	}
}

func TestWords(t *testing.T) {
	got, err := words(`go run ./cmd/model generate runs/a --prompt 'func  x' --set data.paths='["a b"]' | head`)
	want := []string{"go", "run", "./cmd/model", "generate", "runs/a", "--prompt", "func  x", "--set", `data.paths=["a b"]`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("words: %q, %v, want %q", got, err, want)
	}
	if name, args := program(got); name != "go run ./cmd/model generate" || len(args) != 5 {
		t.Errorf("program: %q, %q", name, args)
	}
	if got, err := words("echo 'a"); err == nil {
		t.Errorf("an open quote: %q", got)
	}
}

func TestFlags(t *testing.T) {
	known := readHelp("Flags:\n  -c, --config string     TOML file\n      --accounting NAME   count\n      --dry-run           print\n  -h, --help              help\n")
	for line, want := range map[string]bool{
		"-c a.toml --dry-run":                true,
		"--config=a.toml --accounting paper": true,
		"--dry-run=1":                        false,
		"--config":                           false,
		"--quick":                            false,
	} {
		if _, _, err := known.parse(strings.Fields(line)); (err == nil) != want {
			t.Errorf("parse(%q): error %v, want ok %t", line, err, want)
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		shown, printed string
		same, labels   bool
	}{
		"equal":        {"a  1\nb  2", "a  1\nb  2\n", true, true},
		"elided":       {"a  1\n[...]\nd", "a  1\nb\nc\nd\n", true, true},
		"other figure": {"loss  1.2", "loss  1.3\n", false, true},
		"other label":  {"loss  1.2", "gain  1.2\n", false, false},
		"other order":  {"a  1\nb  2", "b  2\na  1\n", false, false},
		"missing":      {"a  1", "", false, false},
		"more":         {"a  1", "a  1\nb  2\n", false, true},
	} {
		shown := strings.Split(c.shown, "\n")
		if err := sameOutput(shown, c.printed); (err == nil) != c.same {
			t.Errorf("%s: sameOutput: %v, want equal %t", name, err, c.same)
		}
		if err := sameLabels(shown, c.printed); (err == nil) != c.labels {
			t.Errorf("%s: sameLabels: %v, want equal %t", name, err, c.labels)
		}
	}
}

// A page runs from its top in a folder of its own; what fails, prints something else or is skipped is said.
func TestWalk(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash, in which pages run")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("left", "")
	write("runs/old", "")
	write("README.md", "<!-- ci: output -->\n```console\n$ printf 'a  1\\n' && cat left > made\na  1\n```\n\n"+
		"<!-- ci: file own.txt -->\n```\ntext\n```\n\n```sh\ncat made own.txt\ncat runs/old\n```\n\n"+
		"<!-- ci: skip no network -->\n```sh\ncat far\n```\n\n```console\n$ printf 'a  2\\n'\nb  1\n```\n")
	var out bytes.Buffer
	w := &walk{root: dir, out: &out}
	failed, err := w.page(t.Context(), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"README.md:3: ok", "README.md:13: ok", "README.md:14: FAILED", "README.md:19: skipped: no network", "README.md:23: FAILED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the walk did not print %q:\n%s", want, out.String())
		}
	}
	if failed != 2 {
		t.Errorf("%d commands failed, want 2:\n%s", failed, out.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "made")); err == nil {
		t.Error("a command wrote into the checkout")
	}
}
