package checkpoints

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// small is a checkpoint of a few KiB, so that every bit of it can be tried.
func small() Contents {
	return Contents{
		Kind: "decoder", Step: 2,
		Arrays: map[string][]Array{"model.npz": {
			{"w", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, {"n", []int{}, []int64{7}}, {"none", []int{0, 4}, []float64{}},
		}},
		Files: map[string][]byte{"state.json": []byte(`{"tokens": 1234}`)},
	}
}

// readAll opens a checkpoint and reads everything in it, by both ways of reading arrays.
func readAll(dir string) error {
	c, err := Open(dir)
	if err != nil {
		return err
	}
	for _, f := range c.Manifest().Files {
		if _, err := c.File(f.Name); err != nil {
			return err
		}
		if strings.HasSuffix(f.Name, ".npz") {
			if _, err := c.Arrays(f.Name); err != nil {
				return err
			}
			if err := c.ReadInto(f.Name, like(small().Arrays[f.Name])); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuser reads checkpoints that must be refused, and bounds what the attempts allocate.
type refuser struct {
	attempts  int
	allocated uint64
}

func (r *refuser) attempt(t *testing.T, dir, what string) {
	t.Helper()
	if err := readAll(dir); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("%s: read = %v, want ErrCheckpoint", what, err)
	}
	// One sound read allocates under 100 KiB; the statistics stop the world, so they are taken now and then.
	const every, most = 16, 8 << 20
	if r.attempts++; r.attempts%every == 1 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if got := m.TotalAlloc - r.allocated; r.attempts > 1 && got > most {
			t.Errorf("%s: the last %d refusals allocated %d bytes, want at most %d", what, every, got, most)
		}
		r.allocated = m.TotalAlloc
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "step-000002")
	c := mustWrite(t, dir, small())
	var refused refuser
	names := []string{manifestName}
	for _, f := range c.Manifest().Files {
		names = append(names, f.Name)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(whole); n += 7 {
			overwrite(t, path, whole[:n])
			refused.attempt(t, dir, fmt.Sprintf("%s cut to %d bytes", name, n))
			zeros := append(append([]byte{}, whole[:n]...), make([]byte, len(whole)-n)...)
			overwrite(t, path, zeros)
			if !bytes.Equal(zeros, whole) {
				refused.attempt(t, dir, fmt.Sprintf("%s zero from byte %d", name, n))
			}
		}
		overwrite(t, path, append(append([]byte{}, whole...), 'x'))
		refused.attempt(t, dir, name+" with a byte more")
		overwrite(t, path, whole)
	}
	if err := readAll(dir); err != nil {
		t.Errorf("restored: %v", err)
	}
}

func TestABitFlipInAnyByteIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "step-000002")
	c := mustWrite(t, dir, small())
	var refused refuser
	names := []string{manifestName}
	for _, f := range c.Manifest().Files {
		names = append(names, f.Name)
	}
	step := 7 // at least one bit of every byte, each of the eight in turn
	if testing.Short() {
		step = 61
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for bit := 0; bit < 8*len(whole); bit += step {
			flipped := bytes.Clone(whole)
			flipped[bit/8] ^= 1 << (bit % 8)
			overwrite(t, path, flipped)
			refused.attempt(t, dir, fmt.Sprintf("%s bit %d of byte %d", name, bit%8, bit/8))
			if t.Failed() {
				return
			}
		}
		overwrite(t, path, whole)
	}
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsNamedWithWhatToDo(t *testing.T) {
	run := t.TempDir()
	mustWrite(t, StepDir(run, 150), sample(150))
	c := mustWrite(t, StepDir(run, 200), sample(200))
	path := c.path("model.npz")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e := c.Manifest().Files[3].Entries[3] // i32, unlike its neighbours in its bytes
	at := bytes.Index(whole, []byte{0, 0, 0, 0x80, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f})
	if e.Name != "i32" || at < 0 {
		t.Fatalf("entry %q, data at %d", e.Name, at)
	}
	whole[at+4] ^= 1
	overwrite(t, path, whole)
	_, err = c.Arrays("model.npz")
	want := path + `: entry "i32": SHA-256 is `
	if err == nil || !strings.HasPrefix(err.Error(), want) ||
		!strings.HasSuffix(err.Error(), ", manifest says "+short(e.SHA256)+": the file is damaged; use an older checkpoint (step-000150)") {
		t.Errorf("damaged entry: %v\nwant %s..., manifest says %s...", err, want, short(e.SHA256))
	}
	if err := os.Remove(c.path("state.json")); err != nil {
		t.Fatal(err)
	}
	_, err = Open(c.Dir())
	if err == nil || !strings.HasSuffix(err.Error(), "manifest.json lists it; use an older checkpoint (step-000150)") {
		t.Errorf("missing file: %v", err)
	}
}

// A manifest that was made to agree with a bad file still buys nothing: the header must be the one that the manifest's
// shape calls for, and a shape must fit the bytes that are there.
func TestForgedFilesAreRefused(t *testing.T) {
	f4, _ := dtypeNamed("float32")
	header := func(shape ...int) []byte { return npyHeader(f4, shape) }
	data := []byte{0, 0, 128, 63, 0, 0, 0, 64} // 1, 2
	endless := bytes.Replace(header(2), []byte("\n"), []byte(" "), 1)
	fortran := bytes.Replace(header(2), []byte("False, "), []byte("True,  "), 1)
	tests := []struct {
		name   string
		npy    []byte
		shape  []int
		method uint16
		want   string
	}{
		{"sound", append(header(2), data...), []int{2}, zip.Store, ""},
		{"header asks for more", append(header(2000000), data...), []int{2}, zip.Store, "header is"},
		{"header without its end", append(endless, data...), []int{2}, zip.Store, "header is"},
		{"Fortran order", append(fortran, data...), []int{2}, zip.Store, "header is"},
		{"both ask for more", append(header(1<<30/4), data...), []int{1 << 30 / 4}, zip.Store, "has size 136; want"},
		{"too many elements for any memory", append(header(2), data...), []int{1 << 30, 1 << 30, 4}, zip.Store, "more than memory can address"},
		{"negative", append(header(2), data...), []int{-1, -2}, zip.Store, "no negative dimension"},
		{"compressed", append(header(2), data...), []int{2}, zip.Deflate, "is compressed by method 8; want stored"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var file bytes.Buffer
			archive := zip.NewWriter(&file)
			w, err := archive.CreateHeader(&zip.FileHeader{Name: "w.npy", Method: tt.method})
			if err == nil {
				_, err = w.Write(tt.npy)
			}
			if err = errors.Join(err, archive.Close()); err != nil {
				t.Fatal(err)
			}
			m := Manifest{FormatVersion: FormatVersion, Files: []File{{
				"model.npz", int64(file.Len()), hashOf(file.Bytes()),
				[]Entry{{"w", tt.shape, "float32", int64(len(tt.npy)), hashOf(tt.npy)}},
			}}}
			text, err := sealed(m)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			overwrite(t, filepath.Join(dir, "model.npz"), file.Bytes())
			overwrite(t, filepath.Join(dir, manifestName), text)
			c, err := Open(dir)
			if err == nil {
				_, err = c.Arrays("model.npz")
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("read = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestManifestNamesStayInTheFolder(t *testing.T) {
	for _, name := range []string{"../secret", "a/b", `a\b`, "", ".", "..", ".hidden", "c:x", manifestName} {
		m := Manifest{FormatVersion: FormatVersion, Files: []File{{Name: name, SHA256: hashOf(nil)}}}
		text, err := sealed(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(text); err == nil || !strings.Contains(err.Error(), "is not usable") {
			t.Errorf("file name %q: %v, want it refused", name, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	text, err := sealed(Manifest{FormatVersion: FormatVersion, Files: []File{{"a.npz", 200, hex.EncodeToString(make([]byte, 32)),
		[]Entry{{"w", []int{2}, "float32", 136, "00"}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format_version": 1, "files": null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("accepted %q, which it writes as %q", text, again)
		}
	})
}

// changingFile is a file whose bytes change, or end, once it is verified and its directory read.
type changingFile struct {
	data []byte
	flip int // this byte has another value, from 0
	end  int // and there are only so many
}

func (c *changingFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(c.end) {
		return 0, io.EOF
	}
	n := copy(p, c.data[off:c.end])
	if i := int64(c.flip) - off; i >= 0 && i < int64(n) {
		p[i] ^= 0x10
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func TestAChangeAfterVerificationIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ck")
	c := mustWrite(t, dir, small())
	f := c.Manifest().Files[0]
	data, err := os.ReadFile(c.path(f.Name))
	if err != nil {
		t.Fatal(err)
	}
	e := f.Entries[0]
	file := &changingFile{data, -1, len(data)}
	archive, err := openNpz(file, f.Size, f.Entries)
	if err != nil {
		t.Fatal(err)
	}
	start, err := archive.File[0].DataOffset()
	if err != nil {
		t.Fatal(err)
	}
	read := func() error { return readEntry(archive.File[0], e, make([]float32, e.elements()), make([]byte, chunk)) }
	if err := read(); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for i := int(start); i < int(start+e.Size); i++ {
		*file = changingFile{data, i, len(data)}
		if read() == nil {
			t.Errorf("byte %d changed: read without an error", i)
		}
		*file = changingFile{data, -1, i}
		if read() == nil {
			t.Errorf("ends at byte %d: read without an error", i)
		}
	}
}
