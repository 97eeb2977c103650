package checkpoints

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sbinet/npyio/npz"
)

// sampleArrays has every element type, and shapes of every awkward kind.
func sampleArrays() []Array {
	return []Array{
		{"model.embed.weight", []int{3, 2}, []float32{1, -2.5, math.MaxFloat32, math.SmallestNonzeroFloat32, 0, float32(math.Inf(1))}},
		{"scalar", []int{}, []float32{42}},
		{"f64", []int{2, 1, 2}, []float64{math.Pi, math.Copysign(0, -1), math.MaxFloat64, math.Inf(-1)}},
		{"i32", []int{1, 1, 3}, []int32{math.MinInt32, 0, math.MaxInt32}},
		{"i64", []int{2}, []int64{math.MinInt64, math.MaxInt64}},
		{"u8", []int{4}, []uint8{0, 1, 254, 255}},
		{"no rows", []int{0, 3}, []float32{}},
		{"no columns", []int{3, 0}, []float64{}},
		{"empty", []int{0}, []int64{}},
		{"naïve/名前", []int{1}, []float32{7}},
		{"ones", []int{1, 1, 1, 1, 1, 1}, []uint8{9}},
	}
}

func sample(step int) Contents {
	return Contents{
		Kind: "decoder", Step: step,
		Arrays: map[string][]Array{
			"model.npz":     sampleArrays(),
			"optimizer.npz": {{"m", []int{2}, []float32{float32(step), 2}}},
			"empty.npz":     nil,
		},
		Files: map[string][]byte{
			"config.toml": []byte("name = 'tiny'\n"), "state.json": []byte("{}"), "empty.txt": {},
		},
	}
}

// like returns arrays to read into: the same names, shapes and types, other values.
func like(arrays []Array) map[string]Array {
	dst := make(map[string]Array, len(arrays))
	for _, a := range arrays {
		dt, n, _ := typeOf(a.Data)
		dst[a.Name] = Array{a.Name, a.Shape, newData(dt, n)}
	}
	return dst
}

// mustWrite writes a checkpoint and opens it.
func mustWrite(t *testing.T, dir string, c Contents) *Checkpoint {
	t.Helper()
	if err := Write(dir, c); err != nil {
		t.Fatalf("Write(%s) = %v", dir, err)
	}
	got, err := Open(dir)
	if err != nil {
		t.Fatalf("Open(%s) = %v", dir, err)
	}
	return got
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "checkpoints", "step-000200")
	want := sample(200)
	want.Parent = &Lineage{"runs/parent", strings.Repeat("ab", 32)}
	c := mustWrite(t, dir, want)

	m := c.Manifest()
	if m.Kind != "decoder" || m.Step != 200 || m.FormatVersion != FormatVersion || *m.Parent != *want.Parent ||
		m.ConfigSHA256 != hashOf(want.Files["config.toml"]) {
		t.Errorf("Manifest() = %+v", m)
	}
	for name, arrays := range want.Arrays {
		got, err := c.Arrays(name)
		if err != nil {
			t.Fatalf("Arrays(%q) = %v", name, err)
		}
		if diff := cmp.Diff(arrays, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Arrays(%q) (-want +got):\n%s", name, diff)
		}
		dst := like(arrays)
		if err := c.ReadInto(name, dst); err != nil {
			t.Fatalf("ReadInto(%q) = %v", name, err)
		}
		for _, a := range arrays {
			if diff := cmp.Diff(a, dst[a.Name]); diff != "" {
				t.Errorf("ReadInto(%q) %q (-want +got):\n%s", name, a.Name, diff)
			}
		}
	}
	for name, data := range want.Files {
		if got, err := c.File(name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("File(%q) = %q, %v; want %q", name, got, err, data)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("beside the checkpoint: %v, want nothing", left)
	}
}

// A NaN's payload is data like any other.
func TestNaNBitsSurvive(t *testing.T) {
	bits := []uint32{0x7fc00001, 0xffc12345, 0x7f800001}
	data := make([]float32, len(bits))
	for i, b := range bits {
		data[i] = math.Float32frombits(b)
	}
	c := mustWrite(t, filepath.Join(t.TempDir(), "ck"), Contents{Arrays: map[string][]Array{"a.npz": {{"nan", []int{3}, data}}}})
	got, err := c.Arrays("a.npz")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got[0].Data.([]float32) {
		if math.Float32bits(v) != bits[i] {
			t.Errorf("element %d is %#x, want %#x", i, math.Float32bits(v), bits[i])
		}
	}
}

// Data longer than the streaming buffer, of a length that does not divide it.
func TestLongArrays(t *testing.T) {
	n := chunk/4*3 + 7
	f, b := make([]float32, n), make([]uint8, n)
	for i := range f {
		f[i], b[i] = float32(i), uint8(i*7)
	}
	arrays := []Array{{"f", []int{n}, f}, {"b", []int{n, 1}, b}}
	c := mustWrite(t, filepath.Join(t.TempDir(), "ck"), Contents{Arrays: map[string][]Array{"a.npz": arrays}})
	if got, err := c.Arrays("a.npz"); err != nil || !reflect.DeepEqual(arrays, got) {
		t.Errorf("Arrays = %v, or other values than were written", err)
	}
}

func TestEqualContentsGiveEqualBytes(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	mustWrite(t, a, sample(3))
	mustWrite(t, b, sample(3))
	for _, name := range []string{manifestName, "model.npz", "optimizer.npz", "empty.npz", "config.toml"} {
		x, errX := os.ReadFile(filepath.Join(a, name))
		y, errY := os.ReadFile(filepath.Join(b, name))
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			t.Errorf("%s differs between equal checkpoints (%v, %v)", name, errX, errY)
		}
	}
}

// The files are what the npz format says, to another reader of it.
func TestNpyioReadsWhatIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ck")
	mustWrite(t, dir, sample(1))
	r, err := npz.Open(filepath.Join(dir, "model.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, a := range sampleArrays() {
		h := r.Header(a.Name + ".npy")
		dt, n, _ := typeOf(a.Data)
		if h == nil || h.Descr.Type != dt.descr || h.Descr.Fortran || !cmp.Equal(h.Descr.Shape, a.Shape, cmpopts.EquateEmpty()) {
			t.Errorf("header of %q = %v, want %s %v", a.Name, h, dt.descr, a.Shape)
		}
		if got, ok := a.Data.([]float32); ok && n > 0 {
			var data []float32
			if err := r.Read(a.Name+".npy", &data); err != nil || !cmp.Equal(got, data) {
				t.Errorf("npyio reads %q as %v, %v; want %v", a.Name, data, err, got)
			}
		}
	}
}

func TestEntriesAreStoredAndAligned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ck")
	mustWrite(t, dir, sample(1))
	r, err := zip.OpenReader(filepath.Join(dir, "model.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, f := range r.File {
		a := sampleArrays()[i]
		dt, n, _ := typeOf(a.Data)
		if f.Method != zip.Store || (f.UncompressedSize64-uint64(n*dt.size))%64 != 0 || !f.Modified.Equal(zipTime) {
			t.Errorf("%s: method %d, %d bytes, time %v", f.Name, f.Method, f.UncompressedSize64, f.Modified)
		}
	}
}

func TestReadIntoListsEveryMisfit(t *testing.T) {
	c := mustWrite(t, filepath.Join(t.TempDir(), "ck"), Contents{Arrays: map[string][]Array{"model.npz": {
		{"a", []int{2, 3}, make([]float32, 6)}, {"b", []int{2}, []int64{1, 2}}, {"c", []int{1}, []float32{5}}, {"d", []int{2}, []float32{1, 2}},
	}}})
	good := []float32{-1}
	dst := map[string]Array{
		"a": {"a", []int{3, 2}, make([]float32, 6)},
		"b": {"b", []int{2}, make([]int32, 2)},
		"c": {"c", []int{1}, good},
		"d": {"d", []int{2}, make([]float32, 1)},
		"x": {"x", []int{4}, make([]float32, 4)},
	}
	err := c.ReadInto("model.npz", dst)
	want := c.path("model.npz") + `: 4 arrays do not fit; want the checkpoint of the same model:
  mismatch: "a": the file has float32 [2 3], want float32 [3 2]
  mismatch: "b": the file has int64 [2], want int32 [2]
  mismatch: "d": the destination has 1 elements; want 2 for shape [2]
  missing: "x" float32 [4] is not in the file`
	if err == nil || err.Error() != want || !errors.Is(err, ErrCheckpoint) {
		t.Errorf("ReadInto = %v\nwant %s", err, want)
	}
	if good[0] != -1 {
		t.Errorf("ReadInto wrote %v into an array before it failed", good)
	}
	err = c.ReadInto("model.npz", map[string]Array{})
	if err == nil || !strings.Contains(err.Error(), `unused: "d" float32 [2] is in the file, nothing takes it`) {
		t.Errorf("ReadInto nothing = %v", err)
	}
}

func TestMatchLoadsWhatFits(t *testing.T) {
	c := mustWrite(t, filepath.Join(t.TempDir(), "ck"), Contents{Arrays: map[string][]Array{"model.npz": {
		{"same", []int{2}, []float32{1, 2}}, {"reshaped", []int{2, 3}, make([]float32, 6)}, {"gone", []int{1}, []float32{3}},
	}}})
	dst := map[string]Array{
		"same":     {"same", []int{2}, make([]float32, 2)},
		"reshaped": {"reshaped", []int{3, 2}, []float32{9, 9, 9, 9, 9, 9}},
		"new":      {"new", []int{1}, []float32{9}},
	}
	loaded, missing, unused, err := c.Match("model.npz", dst)
	got := [][]string{loaded, missing, unused}
	if want := [][]string{{"same"}, {"new", "reshaped"}, {"gone", "reshaped"}}; err != nil || !cmp.Equal(want, got) {
		t.Errorf("Match = %v, %v; want %v", got, err, want)
	}
	if same, re := dst["same"].Data.([]float32), dst["reshaped"].Data.([]float32); same[1] != 2 || re[0] != 9 {
		t.Errorf("after Match same = %v, reshaped = %v", same, re)
	}
}

func TestOpenErrors(t *testing.T) {
	run := t.TempDir()
	mustWrite(t, StepDir(run, 100), sample(100))
	c := mustWrite(t, StepDir(run, 200), sample(200))
	file := filepath.Join(run, "file")
	empty := filepath.Join(run, "empty")
	newer := filepath.Join(run, "newer")
	for _, err := range []error{
		os.WriteFile(file, nil, 0o600), os.Mkdir(empty, 0o700), os.Mkdir(newer, 0o700),
		os.WriteFile(filepath.Join(newer, manifestName), []byte(`{"format_version": 99, "novelty": 1}`), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		call func() error
		want string
	}{
		{"no folder", func() error { _, err := Open(filepath.Join(run, "nope")); return err }, "want a checkpoint folder"},
		{"a file", func() error { _, err := Open(file); return err }, "is a file; want a checkpoint folder"},
		{"no manifest", func() error { _, err := Open(empty); return err }, "no manifest.json: not a checkpoint folder"},
		{"a newer version", func() error { _, err := Open(newer); return err },
			"manifest.json: unknown format version 99; this program reads version 1: use the program that wrote it"},
		{"no such arrays", func() error { _, err := c.Arrays("nope.npz"); return err },
			"nope.npz: no such file in the checkpoint; it has config.toml, empty.npz, empty.txt, model.npz, optimizer.npz, state.json"},
		{"no such file", func() error { _, err := c.File("../x"); return err }, "no such file in the checkpoint"},
		{"arrays of no npz", func() error { _, err := c.Arrays("state.json"); return err }, "state.json: is not a zip file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(); err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrCheckpoint) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Open(filepath.Join(run, "nope")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing = %v, want fs.ErrNotExist inside", err)
	}
}
