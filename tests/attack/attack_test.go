package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"time"
)

var seeds = filepath.Join("..", "testdata", "v1")

// TestExecute: each class of what a command may do is told from the others, by a program that does it.
func TestExecute(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("memory is limited on Linux only")
	}
	bin := t.TempDir()
	program := `package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

var held [][]byte

func main() {
	switch os.Args[1] {
	case "fine":
		fmt.Println("loss 1.5, which is information of finance")
	case "refused":
		fmt.Fprintln(os.Stderr, "no")
		os.Exit(2)
	case "panic":
		var m map[string]int
		m["x"] = 1
	case "hang":
		time.Sleep(time.Hour)
	case "memory":
		for {
			b := make([]byte, 64<<20)
			for i := range b {
				b[i] = 1
			}
			held = append(held, b)
		}
	case "NaN":
		fmt.Println("loss NaN")
	case "silent":
		os.Exit(1)
	case "code":
		fmt.Fprintln(os.Stderr, "no")
		os.Exit(77)
	case "echo":
		fmt.Fprintln(os.Stderr, strings.Repeat("x", 5000))
		os.Exit(1)
	}
}
`
	source := filepath.Join(bin, "main.go")
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "does"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []class{fine, refused, panics, hangs, grows, number, silent, strange, long} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			l := limits{time: time.Minute, memory: 512 << 20}
			if want == hangs {
				l.time = time.Second
			}
			got, output := execute(context.Background(), l, bin, bin, []string{"does", string(want)})
			if got != want {
				t.Errorf("%s, want %s\n%s", got, want, output)
			}
		})
	}
}

// TestAttack: some hundred changed inputs, the same each time, are refused or do no harm.
func TestAttack(t *testing.T) {
	duration := 8 * time.Second
	if testing.Short() {
		duration = 2 * time.Second
	}
	a := attack{seed: 1, limits: limits{time: time.Minute, memory: 1 << 30}, keep: filepath.Join(t.TempDir(), "kept"), out: testWriter{t}}
	if err := a.run(context.Background(), seeds, duration); err != nil {
		t.Error(err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// TestSizesOfCheckpoints: what a checkpoint says of its sizes is held against its arrays and this machine's memory before
// anything of that size is made, and its other files are checked as strictly as TOML is.
func TestSizesOfCheckpoints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if out, err := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "sparrow/cmd/train", "sparrow/cmd/model").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	eval := func(string) []string { return []string{"model", "eval", "at"} }
	resume := func(run string) []string { return []string{"train", "resume", run, "--set", "train.steps=5"} }
	for _, c := range []struct {
		name, run, file string
		from, to        string // a pattern of the file, and what stands in its place
		command         func(run string) []string
		want            string // pattern of the message
	}{
		{"context", "mha", "config.toml", `context = \d+`, "context = 2147483647", eval, `2147483647|memory`},
		{"d_ff", "mha", "config.toml", `d_ff = \d+`, "d_ff = 1073741824", eval, `arrays hold at most|memory`},
		{"d_ff of a terabyte", "mha", "config.toml", `d_ff = \d+`, "d_ff = 1099511627776", eval, `memory`},
		{"n_layer", "mha", "config.toml", `n_layer = \d+`, "n_layer = 900", eval, `arrays hold at most`},
		{"width of an adapter", "lora", "config.toml", `d_model = \d+`, "d_model = 1000000", eval, `d_model|arrays hold at most|memory`},
		{"image_size", "favit", "images.json", `"image_size": \d+`, `"image_size": 65536`, eval, `image_size = 65536; want 1 to`},
		{"mean", "favit", "images.json", `"mean": \[`, `"mean": [0.5, `, eval, `means`},
		{"std", "favit", "images.json", `"std": \[\s*[0-9.]+`, `"std": [0`, eval, `deviations above 0`},
		{"unknown key of images.json", "favit", "images.json", `"mean"`, `"unheard_of": 1, "mean"`, eval, `unheard_of`},
		{"step", "mha", "state.json", `"step": \d+`, `"step": 2`, resume, `step = 2; want 3, as in the manifest`},
		{"micro_batch", "mha", "state.json", `"micro_batch": \d+`, `"micro_batch": -3`, resume, `micro_batch = -3`},
		{"cursor", "mha", "state.json", `"position": \d+`, `"position": -1`, resume, `cursor.position = -1`},
		{"best_step", "mha", "state.json", `"best_step": \d+`, `"best_step": 9`, resume, `best_step = 9; want 0 to 3|best_step = 9`},
		{"unknown key of state.json", "mha", "state.json", `"step"`, `"unheard_of": 1, "step"`, resume, `unheard_of`},
		{"two values in state.json", "mha", "state.json", `\}\s*$`, "}{}", resume, `state.json`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			run := filepath.Join("runs", c.run)
			if err := os.CopyFS(filepath.Join(work, "data"), os.DirFS(filepath.Join(seeds, "data"))); err != nil {
				t.Fatal(err)
			}
			for _, name := range slices.Compact([]string{c.run, "mha"}) { // the base of adapters
				if err := unzip(filepath.Join(seeds, "runs", name+".zip"), filepath.Join(work, "runs", name)); err != nil {
					t.Fatal(err)
				}
			}
			steps, err := filepath.Glob(filepath.Join(work, run, "checkpoints", "step-*"))
			if err != nil || len(steps) == 0 {
				t.Fatal("no checkpoint", err)
			}
			step := steps[len(steps)-1]
			path := filepath.Join(step, c.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pattern := regexp.MustCompile(c.from)
			if !pattern.Match(text) {
				t.Fatalf("%s has no %s:\n%s", c.file, c.from, text)
			}
			at := pattern.FindIndex(text)
			changed := string(text[:at[0]]) + string(pattern.ReplaceAll(text[at[0]:at[1]], []byte(c.to))) + string(text[at[1]:])
			if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := reseal(step, nil); err != nil {
				t.Fatal(err)
			}
			command := c.command(run)
			for i, arg := range command {
				if arg == "at" {
					command[i] = step
				}
			}
			class, output := execute(context.Background(), limits{time: time.Minute, memory: 512 << 20}, bin, work, command)
			if class != refused || !regexp.MustCompile(c.want).MatchString(output) {
				t.Errorf("%s; want refused, and %s\n%s", class, c.want, indent(output))
			}
		})
	}
}
