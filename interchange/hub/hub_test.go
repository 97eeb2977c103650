package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sparrow/internal/shell"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// fake is a hub with one model, o/n, and the server to which it redirects for large files.
type fake struct {
	mu     sync.Mutex
	files  map[string][]byte
	large  map[string]bool // served by the other server, named by SHA-256
	cut    []int           // bytes after which the next answers break off
	status []int           // of the next answers for bytes, in place of them
	token  string          // that is needed; "": none
	change func(h http.Header, name string)
	list   func() string // in place of the list
	body   func(name string, b []byte) []byte
	ranges bool // Range is understood

	asked  []string // METHOD path, with Range and whether a token came
	hub    *httptest.Server
	store  *httptest.Server
	client *Hub
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{large: map[string]bool{"model.safetensors": true}, ranges: true}
	weights := make([]byte, 300_000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(weights)
	f.files = map[string][]byte{"config.json": []byte(`{"model_type":"llama"}`), "model.safetensors": weights, "onnx/model.onnx": make([]byte, 10), "empty.txt": {}}
	f.store = httptest.NewServer(http.HandlerFunc(f.serveStore))
	f.hub = httptest.NewServer(http.HandlerFunc(f.serveHub))
	t.Cleanup(f.store.Close)
	t.Cleanup(f.hub.Close)
	f.client = &Hub{Endpoint: f.hub.URL, Cache: t.TempDir(), pause: time.Millisecond, stall: 5 * time.Second}
	return f
}

func (f *fake) note(r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := r.Method + " " + r.URL.Path
	if v := r.Header.Get("Range"); v != "" {
		line += " " + v
	}
	if r.Header.Get("Authorization") != "" {
		line += " with token"
	}
	f.asked = append(f.asked, line)
}

func (f *fake) serveHub(w http.ResponseWriter, r *http.Request) {
	f.note(r)
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/models/o/n/revision/"); ok {
		switch {
		case rest != "main" && rest != "v/1" && rest != commit:
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			w.WriteHeader(http.StatusNotFound)
		case f.list != nil:
			fmt.Fprint(w, f.list())
		default:
			var siblings []map[string]string
			for name := range f.files {
				siblings = append(siblings, map[string]string{"rfilename": name})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings})
		}
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/o/n/resolve/"+commit+"/")
	content, found := f.files[name]
	if !ok || !found {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("X-Repo-Commit", commit)
	if f.large[name] {
		h.Set("X-Linked-Size", strconv.Itoa(len(content)))
		h.Set("X-Linked-Etag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(content))))
		h.Set("Location", f.store.URL+"/"+name+"?signature=secret")
		if f.change != nil {
			f.change(h, name)
		}
		w.WriteHeader(http.StatusFound)
		return
	}
	blob := append([]byte(fmt.Sprintf("blob %d\x00", len(content))), content...)
	h.Set("Etag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha1.Sum(blob))))
	if f.change != nil {
		f.change(h, name)
	}
	f.give(w, r, name, content)
}

func (f *fake) serveStore(w http.ResponseWriter, r *http.Request) {
	f.note(r)
	name := strings.TrimPrefix(r.URL.Path, "/")
	w.Header().Set("Etag", `"../../../../evil"`) // not what counts
	f.give(w, r, name, f.files[name])
}

// give answers with the bytes, or with what is wrong with them.
func (f *fake) give(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.body != nil {
		content = f.body(name, content)
	}
	first, code := 0, http.StatusOK
	if span, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && f.ranges {
		first, _ = strconv.Atoi(strings.TrimSuffix(span, "-"))
		code = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(content)-1, len(content)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)-first))
	if r.Method == http.MethodHead {
		return
	}
	if len(f.status) > 0 {
		code, f.status = f.status[0], f.status[1:]
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(code)
		return
	}
	w.WriteHeader(code)
	if len(f.cut) > 0 {
		n := min(f.cut[0], len(content)-first)
		f.cut = f.cut[1:]
		_, _ = w.Write(content[first : first+n])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(content[first:])
}

func all(names []string) ([]string, error) {
	slices.Sort(names)
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "onnx/") }), nil
}

func (f *fake) fetch(t *testing.T, name string) (string, error) {
	t.Helper()
	id, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return f.client.Fetch(context.Background(), id, all, nil)
}

// check compares the files of a snapshot with the hub's.
func (f *fake) check(t *testing.T, dir string) {
	t.Helper()
	for name, want := range f.files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch unwanted := strings.HasPrefix(name, "onnx/"); {
		case unwanted && err == nil:
			t.Errorf("%s was fetched, which nobody wants", name)
		case !unwanted && (err != nil || string(got) != string(want)):
			t.Errorf("%s: %d bytes, %v; want the %d of the hub", name, len(got), err, len(want))
		}
	}
}

// TestLayout: the cache is that of huggingface_hub, a second call fetches nothing, and another revision shares the bytes.
func TestLayout(t *testing.T) {
	f := newFake(t)
	dir, err := f.fetch(t, "o/n")
	if err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)
	base := filepath.Join(f.client.Cache, "models--o--n")
	if want := filepath.Join(base, "snapshots", commit); dir != want {
		t.Errorf("snapshot %s, want %s", dir, want)
	}
	if ref, err := os.ReadFile(filepath.Join(base, "refs", "main")); string(ref) != commit {
		t.Errorf("refs/main holds %q, %v", ref, err)
	}
	link, err := os.Readlink(filepath.Join(dir, "model.safetensors"))
	if want := fmt.Sprintf("../../blobs/%x", sha256.Sum256(f.files["model.safetensors"])); filepath.ToSlash(link) != want {
		t.Errorf("model.safetensors links to %q, %v; want %q", link, err, want)
	}
	f.asked = nil
	if _, err := f.fetch(t, "o/n@v/1"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"GET /api/models/o/n/revision/v/1"}; !slices.Equal(f.asked, want) {
		t.Errorf("the second time asks %q, want %q", f.asked, want)
	}
	if _, err := os.Stat(filepath.Join(base, "refs", "v", "1")); err != nil {
		t.Error(err)
	}
	f.hub.Close()
	_, err = f.fetch(t, "o/n")
	if !errors.Is(err, ErrTransfer) || !strings.Contains(fmt.Sprint(err), "HF_HUB_OFFLINE=1") {
		t.Errorf("without a hub: %v", err)
	}
	f.client.Offline = true
	if again, err := f.fetch(t, "o/n"); err != nil || again != dir {
		t.Errorf("offline: %s, %v", again, err)
	}
	if _, err := f.fetch(t, "o/n@other"); !errors.Is(err, ErrHub) {
		t.Errorf("offline, unknown revision: %v", err)
	}
}

// TestCutAnswers: what broke off goes on where it stopped, within a call and in a later one, also of a server that knows no Range.
func TestCutAnswers(t *testing.T) {
	f := newFake(t)
	f.cut = []int{10, 0, 22, 100_000, 0, 0, 0, 0, 5}
	dir, err := f.fetch(t, "o/n")
	if err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)
	if !slices.Contains(f.asked, "GET /model.safetensors bytes=100000-") {
		t.Errorf("asked %q; want the rest after 100000 bytes", f.asked)
	}

	f = newFake(t)
	f.cut = []int{1000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	f.files = map[string][]byte{"model.safetensors": f.files["model.safetensors"]}
	_, err = f.fetch(t, "o/n")
	if !errors.Is(err, ErrTransfer) || shell.ExitCode(err) != shell.ExitFailed || !strings.Contains(err.Error(), "1000 of 300000 bytes are there") {
		t.Fatalf("an answer that never comes: %v", err)
	}
	f.cut, f.asked = nil, nil
	if dir, err = f.fetch(t, "o/n"); err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)
	if !slices.Contains(f.asked, "GET /model.safetensors bytes=1000-") {
		t.Errorf("asked %q; want the rest after 1000 bytes", f.asked)
	}

	f = newFake(t)
	f.cut, f.ranges = []int{22, 5, 777, 299_999}, false
	if dir, err = f.fetch(t, "o/n"); err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)

	f = newFake(t)
	f.status = []int{503, 500, 429}
	if dir, err = f.fetch(t, "o/n"); err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)
}

// TestSpoiltRest: a beginning of an earlier time that is wrong costs a second download, not the model.
func TestSpoiltRest(t *testing.T) {
	f := newFake(t)
	blobs := filepath.Join(f.client.Cache, "models--o--n", "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%x.incomplete", sha256.Sum256(f.files["model.safetensors"]))
	if err := os.WriteFile(filepath.Join(blobs, name), []byte("something else"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir, err := f.fetch(t, "o/n")
	if err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)
}

// TestLies: sizes, checksums, commits, names and lists that are not true are errors, and leave no file that looks complete.
func TestLies(t *testing.T) {
	set := func(key, value string) func(*fake) {
		return func(f *fake) {
			f.change = func(h http.Header, name string) {
				if name == "model.safetensors" {
					h.Set(key, value)
				}
			}
		}
	}
	one := func(name string) func(*fake) {
		return func(f *fake) {
			f.list = func() string { return fmt.Sprintf(`{"sha":%q,"siblings":[{"rfilename":%q}]}`, commit, name) }
		}
	}
	for _, c := range []struct {
		name, want string
		lie        func(*fake)
	}{
		{"shorter size", "more bytes than the 1000", set("X-Linked-Size", "1000")},
		{"longer size", "has 300000 bytes, and the hub announced 400000", set("X-Linked-Size", "400000")},
		{"huge size", "gives the size", set("X-Linked-Size", "9223372036854775807")},
		{"size of no number", "gives the size", set("X-Linked-Size", "-1")},
		{"other bytes", "do not have the checksum", func(f *fake) {
			f.body = func(name string, b []byte) []byte {
				if name == "model.safetensors" {
					b = slices.Clone(b)
					b[7] ^= 1
				}
				return b
			}
		}},
		{"other bytes of a small file", "do not have the checksum", func(f *fake) {
			f.body = func(name string, b []byte) []byte { return []byte(strings.Replace(string(b), "llama", "lLama", 1)) }
		}},
		{"checksum that leads elsewhere", "gives the checksum", set("X-Linked-Etag", `"../../../evil"`)},
		{"other commit", "in place of", set("X-Repo-Commit", strings.Repeat("f", 40))},
		{"commit of no form", "which is none", func(f *fake) { f.list = func() string { return `{"sha":"../..","siblings":[]}` } }},
		{"no list", "does not answer as a hub", func(f *fake) { f.list = func() string { return "<html>" } }},
		{"endless list", "more than", func(f *fake) { f.list = func() string { return strings.Repeat(" ", maxList+1) } }},
		{"name that leaves the folder", "not the name of a file", one("../evil.json")},
		{"absolute name", "not the name of a file", one("/etc/passwd")},
		{"name of Windows", "not the name of a file", one(`..\evil`)},
		{"file that is not there", "has no o/n/gone.json", one("gone.json")},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			c.lie(f)
			_, err := f.fetch(t, "o/n")
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrHub) && !errors.Is(err, ErrTransfer) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			_, err = os.Stat(filepath.Join(f.client.Cache, "models--o--n", "snapshots", commit, "model.safetensors"))
			if err == nil {
				t.Error("the snapshot has the file nevertheless")
			}
			if _, err := os.Stat(filepath.Join(f.client.Cache, "models--o--n", "refs", "main")); err == nil {
				t.Error("the revision counts as fetched")
			}
		})
	}
}

// TestRefusals: what a hub refuses is said with what to do next.
func TestRefusals(t *testing.T) {
	f := newFake(t)
	f.token = "hf_right"
	_, err := f.fetch(t, "o/n")
	if err == nil || !strings.Contains(err.Error(), "set HF_TOKEN") || shell.ExitCode(err) != shell.ExitUsage {
		t.Errorf("no token: %v", err)
	}
	f.client.Token = "hf_wrong"
	_, err = f.fetch(t, "o/n")
	if err == nil || !strings.Contains(err.Error(), "HF_TOKEN is valid") || strings.Contains(err.Error(), "hf_wrong") {
		t.Errorf("wrong token: %v", err)
	}
	f.client.Token, f.asked = "hf_right", nil
	dir, err := f.fetch(t, "o/n")
	if err != nil {
		t.Fatal(err)
	}
	f.check(t, dir)
	for _, line := range f.asked {
		if toStore := strings.HasPrefix(line, "GET /model.safetensors"); toStore == strings.Contains(line, "with token") {
			t.Errorf("%s: the token goes to the hub, and nowhere else", line)
		}
	}
	for name, want := range map[string]string{"o/other": "check the names", "o/n@v9": "has no revision v9"} {
		if _, err := f.fetch(t, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	f.client.Endpoint = "https://me:secret@hub.example"
	if _, err := f.fetch(t, "o/n"); err == nil || strings.Contains(err.Error(), "secret@") {
		t.Errorf("endpoint with a password: %v", err)
	}
	f.client.Endpoint = "ftp://x"
	if _, err := f.fetch(t, "o/n"); err == nil || !strings.Contains(err.Error(), "HF_ENDPOINT") {
		t.Errorf("endpoint of no hub: %v", err)
	}
}

// TestRedirects: the token goes to no other port, host or scheme, nothing goes from https to http, and loops end.
func TestRedirects(t *testing.T) {
	first := httptest.NewRequest(http.MethodGet, "https://hub.example/o", nil)
	for address, want := range map[string]string{
		"https://hub.example/p": "kept", "https://hub.example:444/p": "gone", "https://sub.hub.example/p": "gone",
		"http://hub.example/p": "refused", "file:///etc/passwd": "refused",
	} {
		r := httptest.NewRequest(http.MethodGet, "https://hub.example/", nil)
		r.Header.Set("Authorization", "Bearer hf_secret")
		r.URL, _ = r.URL.Parse(address)
		got := "kept"
		if err := redirect(r, []*http.Request{first}); err != nil {
			got = "refused"
		} else if r.Header.Get("Authorization") == "" {
			got = "gone"
		}
		if got != want {
			t.Errorf("%s: the token is %s, want %s", address, got, want)
		}
	}
	f := newFake(t)
	f.hub.Config.Handler = http.RedirectHandler("/again", http.StatusFound)
	if _, err := f.fetch(t, "o/n"); err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("a loop: %v", err)
	}
}

// TestStalledAnswer: a server that keeps the line open and sends nothing is as one that hung up.
func TestStalledAnswer(t *testing.T) {
	f := newFake(t)
	f.client.stall = 50 * time.Millisecond
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "300000")
		_, _ = w.Write(f.files["model.safetensors"][:10])
		w.(http.Flusher).Flush()
		<-hang
	}))
	defer slow.Close()
	defer close(hang)
	f.change = func(h http.Header, name string) {
		if f.large[name] {
			h.Set("Location", slow.URL)
		}
	}
	_, err := f.fetch(t, "o/n")
	if !errors.Is(err, ErrTransfer) {
		t.Errorf("error %v, want ErrTransfer", err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]ID{
		"o/n":               {"o", "n", "", "main"},
		"o/n.x-y_z@v1.0":    {"o", "n.x-y_z", "", "v1.0"},
		"o/n/q4.gguf@a/b":   {"o", "n", "q4.gguf", "a/b"},
		"o/n/sub/q4.gguf":   {"o", "n", "sub/q4.gguf", "main"},
		"o":                 {},
		"":                  {},
		"/n":                {},
		"o/n@":              {},
		"o/..":              {},
		"../n":              {},
		"o/n/../../x":       {},
		"o/n@../x":          {},
		"o/n@a b":           {},
		"o/n\x00":           {},
		"https://h.co/o/n":  {},
		"o/" + long(97):     {},
		"o/n@" + long(201):  {},
		"o/n/" + long(1000): {},
	} {
		got, err := Parse(text)
		if got != want || (err == nil) != (want != ID{}) {
			t.Errorf("%.40q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// TestEnvironment reads the variables of huggingface_hub.
func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE"} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_CACHE_HOME", home)
	if h := Environment(); h.Endpoint != "https://huggingface.co" || h.Cache != filepath.Join(home, "huggingface", "hub") || h.Token != "" || h.Offline {
		t.Errorf("nothing set: %+v", h)
	}
	t.Setenv("HF_HOME", filepath.Join(home, "hf"))
	if err := os.MkdirAll(filepath.Join(home, "hf"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "hf", "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HF_ENDPOINT", "http://mirror")
	t.Setenv("HF_HUB_OFFLINE", "1")
	if h := Environment(); h.Endpoint != "http://mirror" || h.Cache != filepath.Join(home, "hf", "hub") || h.Token != "hf_file" || !h.Offline {
		t.Errorf("HF_HOME: %+v", h)
	}
	t.Setenv("HF_TOKEN", "hf_own")
	t.Setenv("HF_HUB_CACHE", "elsewhere")
	if h := Environment(); h.Cache != "elsewhere" || h.Token != "hf_own" {
		t.Errorf("HF_HUB_CACHE, HF_TOKEN: %+v", h)
	}
}
