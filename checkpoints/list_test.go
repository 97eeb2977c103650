package checkpoints

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func steps(t *testing.T, run string) string {
	t.Helper()
	dirs, err := List(run)
	if err != nil {
		t.Fatalf("List = %v", err)
	}
	for i, dir := range dirs {
		if filepath.Dir(dir) != filepath.Join(run, "checkpoints") {
			t.Errorf("List has %s, want a path in %s", dir, run)
		}
		dirs[i] = filepath.Base(dir)
	}
	return strings.Join(dirs, " ")
}

func TestList(t *testing.T) {
	run := t.TempDir()
	if got := steps(t, run); got != "" {
		t.Errorf("List of a new run = %s", got)
	}
	for _, step := range []int{1000000, 20, 3, 100} {
		mustWrite(t, StepDir(run, step), Contents{Step: step, Files: map[string][]byte{"state.json": []byte("{}")}})
	}
	parent := filepath.Join(run, "checkpoints")
	for _, name := range []string{".tmp-step-000500", ".old-step-000500", "step-7", "step-000600", "best"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	overwrite(t, filepath.Join(parent, "step-000700"), []byte("a file"))
	overwrite(t, filepath.Join(parent, "step-000600", manifestName), []byte("{"))
	if got, want := steps(t, run), "step-000003 step-000020 step-000100 step-1000000"; got != want {
		t.Errorf("List = %s, want %s", got, want)
	}
	overwrite(t, filepath.Join(parent, "step-000020", "state.json"), []byte("{"))
	if got, want := steps(t, run), "step-000003 step-000100 step-1000000"; got != want {
		t.Errorf("List after a file was cut = %s, want %s", got, want)
	}
	overwrite(t, filepath.Join(parent, "step-000600", manifestName), []byte(`{"format_version": 2}`))
	if got, want := steps(t, run), "step-000003 step-000100 step-000600 step-1000000"; got != want {
		t.Errorf("List with a newer format = %s, want %s", got, want)
	}
	if _, err := List(filepath.Join(run, "nope")); !errors.Is(err, ErrCheckpoint) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("List of no folder = %v", err)
	}
}

// TestScan: every damaged checkpoint is reported with what is wrong, in the order of steps; nothing else is.
func TestScan(t *testing.T) {
	run := t.TempDir()
	for step := 1; step <= 6; step++ {
		mustWrite(t, StepDir(run, step), Contents{Step: step, Files: map[string][]byte{"state.json": []byte("{}")}})
	}
	parent := filepath.Join(run, "checkpoints")
	for _, name := range []string{".tmp-step-000009", ".old-step-000009", "step-000009.damaged", "step-9"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	overwrite(t, filepath.Join(StepDir(run, 2), manifestName), []byte("{"))
	overwrite(t, filepath.Join(StepDir(run, 3), "state.json"), []byte("{"))
	overwrite(t, filepath.Join(StepDir(run, 4), manifestName), []byte(`{"format_version": 2}`))
	if err := os.Remove(filepath.Join(StepDir(run, 6), manifestName)); err != nil {
		t.Fatal(err)
	}
	sound, damaged, err := Scan(run)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{StepDir(run, 1), StepDir(run, 4), StepDir(run, 5)}; !slices.Equal(sound, want) {
		t.Errorf("sound are %v, want %v", sound, want)
	}
	want := []struct{ dir, file string }{{StepDir(run, 2), manifestName}, {StepDir(run, 3), "state.json"}, {StepDir(run, 6), manifestName}}
	if len(damaged) != len(want) {
		t.Fatalf("damaged are %v, want %v", damaged, want)
	}
	for i, w := range want {
		d := damaged[i]
		if d.Dir != w.dir || !errors.Is(d.Err, ErrCheckpoint) || !strings.HasPrefix(d.Err.Error(), filepath.Join(w.dir, w.file)+": ") {
			t.Errorf("damaged %d is %s: %v, want %s by its %s", i, d.Dir, d.Err, w.dir, w.file)
		}
	}
}

// TestSetAside: what is moved keeps its bytes, also beside an earlier one, and is no checkpoint any more.
func TestSetAside(t *testing.T) {
	run := t.TempDir()
	for _, c := range []struct{ text, want string }{{"one", "step-000007.damaged"}, {"two", "step-000007.damaged-2"}, {"three", "step-000007.damaged-3"}} {
		dir := StepDir(run, 7)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		overwrite(t, filepath.Join(dir, "model.npz"), []byte(c.text))
		aside, err := SetAside(dir)
		if err != nil || aside != filepath.Join(filepath.Dir(dir), c.want) {
			t.Fatalf("SetAside = %s, %v; want %s", aside, err, c.want)
		}
		if got, err := os.ReadFile(filepath.Join(aside, "model.npz")); err != nil || string(got) != c.text {
			t.Errorf("%s holds %q, %v; want %q", aside, got, err, c.text)
		}
	}
	if sound, damaged, err := Scan(run); err != nil || len(sound)+len(damaged) > 0 {
		t.Errorf("Scan = %v, %v, %v; want nothing", sound, damaged, err)
	}
	if _, err := SetAside(StepDir(run, 7)); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("SetAside of nothing = %v, want an error", err)
	}
}

func TestPrune(t *testing.T) {
	tests := []struct {
		name    string
		keep    int
		protect []string
		want    string
	}{
		{"the newest two", 2, nil, "step-000004 step-000005"},
		{"and the best, by path", 1, []string{filepath.Join("x", "step-000002")}, "step-000002 step-000005"},
		{"and the best, by name", 2, []string{"step-000001", "step-000005", "step-000077"}, "step-000001 step-000004 step-000005"},
		{"more than there are", 9, nil, "step-000001 step-000002 step-000003 step-000004 step-000005"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := t.TempDir()
			for step := 1; step <= 5; step++ {
				mustWrite(t, StepDir(run, step), Contents{Step: step})
			}
			// What a killed Prune left is in the way of the next one.
			if err := os.MkdirAll(filepath.Join(run, "checkpoints", ".tmp-step-000001", "x"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Prune(run, tt.keep, tt.protect...); err != nil {
				t.Fatal(err)
			}
			if got := steps(t, run); got != tt.want {
				t.Errorf("Prune(%d, %v) kept %s, want %s", tt.keep, tt.protect, got, tt.want)
			}
		})
	}
	if err := Prune(t.TempDir(), 0); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("Prune to nothing = %v, want an error", err)
	}
}

func TestStepNames(t *testing.T) {
	for name, want := range map[string]int{"step-000200": 200, "step-000000": 0, "step-1234567": 1234567} {
		if got, ok := stepOf(name); !ok || got != want || stepName(want) != name {
			t.Errorf("stepOf(%q) = %d, %v; want %d", name, got, ok, want)
		}
	}
	for _, name := range []string{"step-200", "step-0000200", "step--00001", "step-+00001", "step-", "000200", ".tmp-step-000200", "step-99999999999999999999"} {
		if got, ok := stepOf(name); ok {
			t.Errorf("stepOf(%q) = %d, want it refused", name, got)
		}
	}
}
