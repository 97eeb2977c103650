package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sparrow/checkpoints"
)

// TestCommands runs the scripts of cli/, each in a folder of its own that holds
// tiny.toml and corpus.txt; $MODULE is this module's. Beside testscript's commands they have:
//
//	exits CODE COMMAND...       run a command that must end with that exit code
//	json KEY...                 the last output is one JSON object with these keys
//	snapshot DIR                remember every file of DIR
//	unchanged DIR               compare names, bytes and times of change with that
//	weights same|differ A B NAME...  compare arrays of two checkpoints
//	images DIR SIDE N           write N PNG files of SIDE x SIDE pixels in each of three classes
func TestCommands(t *testing.T) {
	bin := needBinaries(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "cli",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			module, err := filepath.Abs(root)
			if err != nil {
				return err
			}
			e.Setenv("MODULE", module)
			e.Values["snapshots"] = map[string]map[string]string{}
			for name, text := range map[string]string{"tiny.toml": tinyConfig, "corpus.txt": corpus()} {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(text), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"json":      jsonKeys,
			"snapshot":  takeSnapshot,
			"unchanged": compareSnapshot,
			"weights":   compareWeights,
			"images":    writeImages,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%q: exit code %d, want %d\n%s", args[1:], got, want, ts.ReadFile("stderr"))
	}
}

func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var object map[string]any
	if err := d.Decode(&object); err != nil || d.More() {
		ts.Fatalf("standard output is not one JSON object: %v\n%s", err, ts.ReadFile("stdout"))
	}
	var keys []string
	for k := range object {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	slices.Sort(args)
	if slices.Equal(keys, args) == neg {
		ts.Fatalf("keys %q, want %q", keys, args)
	}
}

// contents maps each file below dir to its bytes and time of change.
func contents(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := "folder"
		if !entry.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(b)
		}
		files[path] = fmt.Sprint(info.ModTime().UnixNano(), info.Mode(), text)
		return nil
	})
	return files, err
}

func takeSnapshot(ts *testscript.TestScript, _ bool, args []string) {
	files, err := contents(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Value("snapshots").(map[string]map[string]string)[args[0]] = files
}

func compareSnapshot(ts *testscript.TestScript, _ bool, args []string) {
	now, err := contents(ts.MkAbs(args[0]))
	ts.Check(err)
	before := ts.Value("snapshots").(map[string]map[string]string)[args[0]]
	if changed := difference(before, now); len(changed) > 0 {
		ts.Fatalf("%s has changed: %v", args[0], changed)
	}
}

// difference lists the keys of a and b whose values differ.
func difference(a, b map[string]string) []string {
	var names []string
	for name, v := range a {
		if w, ok := b[name]; !ok || v != w {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func compareWeights(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 4 || args[0] != "same" && args[0] != "differ" {
		ts.Fatalf("usage: weights same|differ CHECKPOINT CHECKPOINT NAME...")
	}
	a, err := hashes(ts.MkAbs(args[1]))
	ts.Check(err)
	b, err := hashes(ts.MkAbs(args[2]))
	ts.Check(err)
	for _, name := range args[3:] {
		if a[name] == "" || b[name] == "" {
			ts.Fatalf("no array %q in both of %s and %s", name, args[1], args[2])
		}
		if (a[name] == b[name]) != (args[0] == "same") {
			ts.Fatalf("%s: not %s in %s and %s", name, args[0], args[1], args[2])
		}
	}
}

// writeImages makes an image folder: the middle of the images of a class is red, green or blue, on a ground of their own.
func writeImages(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: images DIR SIDE N")
	}
	side, err := strconv.Atoi(args[1])
	ts.Check(err)
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	for class, name := range []string{"red", "green", "blue"} {
		dir := filepath.Join(ts.MkAbs(args[0]), name)
		ts.Check(os.MkdirAll(dir, 0o755))
		for i := range n {
			x := image.NewRGBA(image.Rect(0, 0, side, side))
			for p := range side * side {
				ground := uint8(17*i + p%5)
				colour := [3]uint8{ground, ground, ground}
				if y, x := p/side*4/side, p%side*4/side; (y == 1 || y == 2) && (x == 1 || x == 2) {
					colour[class] = 220
				}
				x.SetRGBA(p%side, p/side, color.RGBA{colour[0], colour[1], colour[2], 255})
			}
			var b bytes.Buffer
			ts.Check(png.Encode(&b, x))
			ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.png", i)), b.Bytes(), 0o644))
		}
	}
}

// hashes maps the names of a checkpoint's weights to the SHA-256 of their bytes.
func hashes(dir string) (map[string]string, error) {
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for _, f := range c.Manifest().Files {
		for _, e := range f.Entries {
			if f.Name == "model.npz" {
				m[e.Name] = e.SHA256
			}
		}
	}
	return m, nil
}

// TestEveryFlagIsTested: each flag that a help text names is used by a script,
// and the scripts' help texts are those of all subcommands.
func TestEveryFlagIsTested(t *testing.T) {
	scripts, err := filepath.Glob("cli/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	flag := regexp.MustCompile(`(?m)^ +(?:-(\w), )?(?:    )?--([a-z-]+)`)
	for program, subcommands := range map[string][]string{"train": {"run", "resume", "init", "keys", "sweep"}, "model": {"chat", "convert", "cost", "discover", "embed", "eval", "explain", "export", "extend", "generate", "import", "index build", "index add", "index remove", "index eval", "index mine", "index teach", "search", "inspect", "list", "interpret fit", "interpret show", "interpret encode", "interpret hierarchy", "interpret compare", "interpret score", "merge", "predict", "recommend", "restore", "sample", "serve"}, "compress": {"plan", "run", "verify", "report", "sweep"}} {
		help := mustRun(t, t.TempDir(), program, "--help").stdout
		listed := regexp.MustCompile(`(?m)^  (\w+)  +\w`).FindAllStringSubmatch(help, -1)
		for _, m := range listed {
			known := func(sub string) bool { return strings.Fields(sub)[0] == m[1] }
			if m[1] != "help" && m[1] != "completion" && !slices.ContainsFunc(subcommands, known) {
				t.Errorf("%s --help lists the subcommand %s, which no test knows", program, m[1])
			}
		}
		for _, sub := range subcommands {
			help := mustRun(t, t.TempDir(), program, append(strings.Fields(sub), "--help")...).stdout
			flags := flag.FindAllStringSubmatch(help, -1)
			if len(flags) < 2 {
				t.Errorf("%s %s --help: found %d flags; want at least 2\n%s", program, sub, len(flags), help)
			}
			for _, f := range flags {
				forms := `--` + f[2]
				if f[1] != "" {
					forms = `(--` + f[2] + `|-` + f[1] + `)`
				}
				if use := regexp.MustCompile(`(?m)^(exec|exits \d+) ` + program + ` ` + sub + ` .*` + forms + `\b`); !use.MatchString(all.String() + "exec " + program + " " + sub + " --help\n") {
					t.Errorf("no script uses %s %s --%s", program, sub, f[2])
				}
			}
		}
	}
}
