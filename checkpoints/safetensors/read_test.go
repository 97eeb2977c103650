package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
)

// golden is what PyTorch says a tensor holds (testdata/make.py).
type golden struct {
	Type  string
	Shape []int
	Bits  []uint32 // of the values as float32
}

func goldens(t *testing.T) map[string]golden {
	t.Helper()
	text, err := os.ReadFile("testdata/types.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]golden
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

var torchNames = map[string]*foreign.Type{
	"torch.float64": foreign.F64, "torch.float32": foreign.F32, "torch.float16": foreign.F16, "torch.bfloat16": foreign.BF16,
	"torch.int8": foreign.I8, "torch.int64": foreign.I64, "torch.int32": foreign.I32, "torch.uint8": foreign.U8, "torch.bool": foreign.Bool,
}

func TestReadsPythonsFile(t *testing.T) {
	f, err := Open("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata["format"] != "pt" || len(f.Metadata) != 1 {
		t.Errorf("metadata is %v", f.Metadata)
	}
	want := goldens(t)
	if len(f.Tensors()) != len(want) {
		t.Errorf("has %d tensors; want %d", len(f.Tensors()), len(want))
	}
	for name, g := range want {
		x, ok := f.Tensor(name)
		if !ok {
			t.Errorf("%q is missing", name)
			continue
		}
		if x.Type != torchNames[g.Type] || !slices.Equal(x.Shape, g.Shape) {
			t.Errorf("%q is %s %v; want %s %v", name, x.Type.Name, x.Shape, g.Type, g.Shape)
		}
		values, err := x.Values()
		if g.Bits == nil {
			if err == nil {
				t.Errorf("%q was read as float32; want an error", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got := bits(values); !slices.Equal(got, g.Bits) {
			t.Errorf("%q has bits %x; want %x", name, got, g.Bits)
		}
	}
	if x, _ := f.Tensor("i64"); !bytes.Equal(x.Bytes()[:16], []byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("i64 begins with % x", x.Bytes()[:16])
	}
}

func bits(values []float32) []uint32 {
	out := make([]uint32, len(values))
	for i, v := range values {
		out[i] = math.Float32bits(v)
	}
	return out
}

func TestFloat32SharesTheFile(t *testing.T) {
	f, err := Open("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, _ := f.Tensor("f32")
	if n := testing.AllocsPerRun(10, func() { _, _ = x.Values() }); n != 0 {
		t.Errorf("reading an aligned F32 tensor allocates %v times; want none", n)
	}
}

func TestWritesPythonsBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Tensor("f32")
	values := func() ([]float32, error) { return x.Values() }
	var sources []foreign.Source
	for _, from := range f.Tensors() {
		s := foreign.Source{Name: from.Name, Shape: from.Shape, Type: from.Type}
		switch from.Name {
		case "f32", "f16", "bf16":
			s.Values = values // rounded here
		default:
			s.Raw = func() ([]byte, error) { return from.Bytes(), nil }
		}
		sources = append(sources, s)
	}
	slices.Reverse(sources) // the order given does not matter
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, sources, f.Metadata); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestShards(t *testing.T) {
	f, err := Open("testdata/model.safetensors.index.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for _, x := range f.Tensors() {
		names = append(names, x.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("tensors are %q", names)
	}
	a, _ := f.Tensor("a")
	c, _ := f.Tensor("c")
	av, _ := a.Values()
	cv, _ := c.Values()
	if !slices.Equal(av[5:10], cv) {
		t.Errorf("c is %v; want the second row of a, %v", cv, av[5:10])
	}
}

func TestIndexThatLies(t *testing.T) {
	for name, test := range map[string]struct{ index, want string }{
		"a path":             {`{"weight_map": {"a": "../model.safetensors"}}`, "a name without a path"},
		"a Windows path":     {`{"weight_map": {"a": "x\\model.safetensors"}}`, "a name without a path"},
		"an absolute path":   {`{"weight_map": {"a": "/etc/passwd"}}`, "a name without a path"},
		"an empty name":      {`{"weight_map": {"a": ""}}`, "a name without a path"},
		"a file not there":   {`{"weight_map": {"a": "other.safetensors"}}`, "no such file"},
		"a tensor not there": {`{"weight_map": {"a": "m", "b": "m", "c": "m"}}`, `tensor "c" is not in "m"`},
		"a tensor too many":  {`{"weight_map": {"a": "m"}}`, `tensor "b" is in "m"; the index says ""`},
		"no map":             {`{}`, "no weight_map"},
		"no JSON":            {`[`, "not readable"},
		"a wrong type":       {`{"weight_map": {"a": 1}}`, "not readable"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			shard, err := os.ReadFile("testdata/model-00001-of-00002.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "m"), shard, 0o644); err != nil {
				t.Fatal(err)
			}
			index := filepath.Join(dir, "i.json")
			if err := os.WriteFile(index, []byte(test.index), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = Open(index)
			if err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, foreign.ErrFile) {
				t.Errorf("error is %v; want %q", err, test.want)
			}
		})
	}
}

func TestFileNotThere(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "x.safetensors"))
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, foreign.ErrFile) {
		t.Errorf("error is %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("error of a folder is %v", err)
	}
}
