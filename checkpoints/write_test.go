package checkpoints

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// failingWriter takes left bytes and fails after them.
type failingWriter struct {
	w    io.Writer
	left *int
}

var errDisk = errors.New("disk failed")

func (f failingWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p[:min(len(p), *f.left)])
	*f.left -= n
	if err == nil && n < len(p) {
		err = errDisk
	}
	return n, err
}

// total is how many bytes a checkpoint of c takes.
func total(t *testing.T, c Contents) int {
	t.Helper()
	left := 1 << 30
	err := write(filepath.Join(t.TempDir(), "ck"), c, func(_ string, w io.Writer) io.Writer { return failingWriter{w, &left} })
	if err != nil {
		t.Fatal(err)
	}
	return 1<<30 - left
}

func TestAFailureAtAnyByteLeavesNothing(t *testing.T) {
	old, fresh := small(), small()
	fresh.Files = map[string][]byte{"state.json": []byte("new")}
	n := total(t, fresh)
	step := 29
	if testing.Short() {
		step = 199
	}
	for at := 0; at < n; at += step {
		run := t.TempDir()
		mustWrite(t, StepDir(run, 2), old)
		for _, dir := range []string{StepDir(run, 2), StepDir(run, 3)} {
			left := at
			fresh.Step, _ = stepOf(filepath.Base(dir))
			err := write(dir, fresh, func(_ string, w io.Writer) io.Writer { return failingWriter{w, &left} })
			if !errors.Is(err, errDisk) || !errors.Is(err, ErrCheckpoint) || !strings.HasPrefix(err.Error(), dir) {
				t.Fatalf("failure at byte %d: Write = %v, want %v in %s", at, err, errDisk, dir)
			}
		}
		entries, err := os.ReadDir(filepath.Join(run, "checkpoints"))
		if err != nil || len(entries) != 1 || entries[0].Name() != "step-000002" {
			t.Fatalf("failure at byte %d left %v, %v", at, entries, err)
		}
		c, err := Open(StepDir(run, 2))
		if err != nil {
			t.Fatalf("failure at byte %d: the old checkpoint: %v", at, err)
		}
		if got, err := c.File("state.json"); err != nil || !bytes.Equal(got, old.Files["state.json"]) {
			t.Fatalf("failure at byte %d: the old state is %q, %v", at, got, err)
		}
	}
}

func TestReplacement(t *testing.T) {
	dir := StepDir(t.TempDir(), 2)
	mustWrite(t, dir, small())
	again := small()
	again.Files = map[string][]byte{"other.json": []byte("new")}
	c := mustWrite(t, dir, again)
	if got, err := c.File("other.json"); err != nil || string(got) != "new" {
		t.Errorf("File = %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state.json")); err == nil {
		t.Error("a file of the replaced checkpoint is still there")
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("left beside the checkpoint: %v", left)
	}
}

// Every state that a kill can leave during a replacement in two renames is mended by the next Write.
func TestInterruptedReplacementInTwoSteps(t *testing.T) {
	move := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		set  func(t *testing.T, parent string) // step-000002 is there, and a new one as .tmp-step-000002
	}{
		{"before both", func(*testing.T, string) {}},
		{"between", func(t *testing.T, p string) {
			move(t, filepath.Join(p, "step-000002"), filepath.Join(p, ".old-step-000002"))
		}},
		{"after both", func(t *testing.T, p string) {
			move(t, filepath.Join(p, "step-000002"), filepath.Join(p, ".old-step-000002"))
			move(t, filepath.Join(p, ".tmp-step-000002"), filepath.Join(p, "step-000002"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := t.TempDir()
			parent := filepath.Join(run, "checkpoints")
			mustWrite(t, filepath.Join(parent, "fresh"), small())
			mustWrite(t, StepDir(run, 2), small())
			move(t, filepath.Join(parent, "fresh"), filepath.Join(parent, ".tmp-step-000002"))
			tt.set(t, parent)
			dirs, err := List(run)
			if err != nil || tt.name != "between" && len(dirs) != 1 {
				t.Errorf("List = %v, %v", dirs, err)
			}
			next := small()
			next.Step = 3
			mustWrite(t, StepDir(run, 3), next)
			entries, _ := os.ReadDir(parent)
			if len(entries) != 2 {
				t.Errorf("after the next Write: %v, want step-000002 and step-000003", entries)
			}
			for _, step := range []int{2, 3} {
				if err := readAll(StepDir(run, step)); err != nil {
					t.Errorf("step %d: %v", step, err)
				}
			}
		})
	}
}

func TestReplaceInTwoSteps(t *testing.T) {
	p := t.TempDir()
	a, b, old := filepath.Join(p, "a"), filepath.Join(p, "b"), filepath.Join(p, "old")
	for _, dir := range []string{a, b} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		overwrite(t, filepath.Join(dir, "name"), []byte(dir))
	}
	if err := replaceInTwoSteps(a, b, old); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(b, "name")); string(got) != a {
		t.Errorf("b holds %q, want what a held", got)
	}
	if err := os.RemoveAll(old); err != nil {
		t.Fatal(err)
	}
	if err := replaceInTwoSteps(filepath.Join(p, "missing"), b, old); err == nil {
		t.Error("replacing by nothing succeeded")
	}
	if got, _ := os.ReadFile(filepath.Join(b, "name")); string(got) != a {
		t.Errorf("after a failure b holds %q, want it back", got)
	}
}

func TestLeftoversOfOthersStay(t *testing.T) {
	p := t.TempDir()
	for _, name := range []string{".tmp-notes", ".old-step-2", ".tmp-step-000009", ".tmp-ck", ".old-ck"} {
		if err := os.Mkdir(filepath.Join(p, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, filepath.Join(p, "ck"), small())
	var got []string
	entries, _ := os.ReadDir(p)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := ".old-step-2 .tmp-notes ck"; strings.Join(got, " ") != want {
		t.Errorf("left %v, want %s", got, want)
	}
}

func TestWriteRefuses(t *testing.T) {
	p := t.TempDir()
	home := filepath.Join(p, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	overwrite(t, filepath.Join(home, "thesis.tex"), []byte("years"))
	one := func(a Array) Contents { return Contents{Arrays: map[string][]Array{"m.npz": {a}}} }
	tests := []struct {
		name string
		dir  string
		c    Contents
		want string
	}{
		{"a folder that is no checkpoint", home, small(), "exists and is not a checkpoint (no manifest.json)"},
		{"a file", filepath.Join(home, "thesis.tex"), small(), "exists and is not a checkpoint"},
		{"a parent that is a file", filepath.Join(home, "thesis.tex", "ck"), small(), "no checkpoint can be written there"},
		{"another step", filepath.Join(p, "step-000005"), small(), "named for step 5, the contents are of step 2"},
		{"negative step", filepath.Join(p, "ck"), Contents{Step: -1}, "step is -1; want at least 0"},
		{"length", filepath.Join(p, "ck"), one(Array{"a", []int{3}, []float32{1}}), `file "m.npz": array "a" has 1 elements; want 3 for shape [3]`},
		{"negative shape", filepath.Join(p, "ck"), one(Array{"a", []int{-1}, []float32{1}}), "want no negative dimension"},
		{"type", filepath.Join(p, "ck"), one(Array{"a", []int{1}, []int{1}}), "has data []int; want []float32"},
		{"no data", filepath.Join(p, "ck"), one(Array{Name: "a"}), "has data <nil>"},
		{"no name", filepath.Join(p, "ck"), one(Array{"", []int{1}, []float32{1}}), `array name "" is not usable`},
		{"dimensions", filepath.Join(p, "ck"), one(Array{"a", make([]int, 33), []float32{}}), "has 33 dimensions; want at most 32"},
		{"array twice", filepath.Join(p, "ck"), Contents{Arrays: map[string][]Array{"m.npz": {
			{"a", []int{1}, []float32{1}}, {"a", []int{1}, []float32{1}}}}}, `two arrays named "a"`},
		{"file twice", filepath.Join(p, "ck"), Contents{Arrays: map[string][]Array{"x": nil}, Files: map[string][]byte{"x": nil}},
			`file "x" is both arrays and bytes`},
		{"file outside", filepath.Join(p, "ck"), Contents{Files: map[string][]byte{"../x": nil}}, `file name "../x" is not usable`},
		{"the manifest", filepath.Join(p, "ck"), Contents{Files: map[string][]byte{manifestName: nil}}, "is not usable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Write(tt.dir, tt.c)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrCheckpoint) {
				t.Errorf("Write = %v, want %q", err, tt.want)
			}
		})
	}
	if entries, _ := os.ReadDir(p); len(entries) != 1 {
		t.Errorf("refused writes left %v", entries)
	}
	if got, err := os.ReadFile(filepath.Join(home, "thesis.tex")); err != nil || string(got) != "years" {
		t.Errorf("thesis.tex = %q, %v", got, err)
	}
}

func TestWriteFileAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.csv")
	overwrite(t, filepath.Join(dir, ".tmp-metrics.csv"), []byte("a leftover that is longer than the new contents"))
	for _, want := range []string{"step,loss\n", "step,loss\n1,2.5\n", ""} {
		if err := WriteFileAtomic(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("read %q, %v; want %q", got, err, want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left %v, want metrics.csv alone", entries)
	}
	err := WriteFileAtomic(filepath.Join(dir, "nope", "x"), nil)
	if err == nil || !errors.Is(err, ErrCheckpoint) || !strings.HasPrefix(err.Error(), filepath.Join(dir, "nope", "x")+": ") {
		t.Errorf("into a missing folder: %v", err)
	}
	blocked := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(blocked, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileAtomic(blocked, []byte("x")); err == nil {
		t.Error("a file replaced a folder")
	}
	if _, err := os.Stat(filepath.Join(dir, ".tmp-folder")); err == nil {
		t.Error("a failed write left its temporary file")
	}
}

func TestStreamFileAtomicKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := WriteFileAtomic(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no more values")
	err := StreamFileAtomic(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half of the"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || !errors.Is(err, ErrCheckpoint) {
		t.Errorf("StreamFileAtomic = %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file is %q, %v", got, err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("the folder holds %v, %v", names, err)
	}
}
