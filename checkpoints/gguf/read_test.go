package gguf

import (
	"bytes"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"

	"sparrow/checkpoints/foreign"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// Every type has the values that the gguf package gives it, to the bit (testdata/make.py).
func TestValuesAreThoseOfThePythonPackage(t *testing.T) {
	truth, err := os.ReadFile("testdata/types.f32")
	if err != nil {
		t.Fatal(err)
	}
	tensors := open(t, "testdata/types.gguf").Tensors()
	if len(tensors) != 11 || len(truth) != 11*4*512 {
		t.Fatalf("there are %d tensors and %d bytes of truth", len(tensors), len(truth))
	}
	for _, x := range tensors {
		if x.Name != x.Type.Name || !slices.Equal(x.Shape, []int{2, 256}) {
			t.Errorf("%s is %s %v", x.Name, x.Type.Name, x.Shape)
		}
		values, err := x.Values()
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
			continue
		}
		for i, v := range values {
			if want := le.Uint32(truth[4*i:]); math.Float32bits(v) != want {
				t.Errorf("%s: value %d is %v (%08x); want %v", x.Name, i, v, math.Float32bits(v), math.Float32frombits(want))
				break
			}
		}
		part := make([]float32, 256)
		if err := x.Read(part, 256); err != nil || !slices.Equal(part, values[256:]) {
			t.Errorf("%s: the second row by itself is not the second row: %v", x.Name, err)
		}
		truth = truth[4*512:]
	}
}

func TestMetadataOfAllTypes(t *testing.T) {
	m := open(t, "testdata/written.gguf").Metadata
	want := Metadata{
		{"general.architecture", "llama"},
		{"a.uint8", uint8(255)},
		{"a.int8", int8(-128)},
		{"a.uint16", uint16(65535)},
		{"a.int16", int16(-32768)},
		{"a.uint32", uint32(math.MaxUint32)},
		{"a.int32", int32(math.MinInt32)},
		{"a.float32", float32(0.1)},
		{"a.uint64", uint64(math.MaxUint64)},
		{"a.int64", int64(math.MinInt64)},
		{"a.float64", 0.1},
		{"a.bool", true},
		{"a.string", "Grüße ▁"},
		{"a.strings", []string{"", "a", "▁b"}},
		{"a.int32s", []int32{1, -2, 3}},
		{"a.float32s", []float32{0.5, -1.5}},
		{"a.bools", []bool{true, false}},
		{"a.nested", []any{[]int32{1, 2}, []int32{3}}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("metadata is\n%#v; want\n%#v", m, want)
	}
	for key, number := range map[string]int{"a.uint8": 255, "a.int8": -128, "a.uint16": 65535, "a.int16": -32768, "a.uint32": math.MaxUint32, "a.int32": math.MinInt32, "a.int64": math.MinInt64} {
		if got, ok := m.Int(key); !ok || got != number {
			t.Errorf("Int(%q) = %d, %v; want %d", key, got, ok, number)
		}
	}
	for _, key := range []string{"a.uint64", "a.float32", "a.string", "missing"} {
		if got, ok := m.Int(key); ok {
			t.Errorf("Int(%q) = %d; want none", key, got)
		}
	}
	if x, ok := m.Float("a.float32"); !ok || float32(x) != 0.1 {
		t.Errorf("Float = %v, %v", x, ok)
	}
	if x, ok := m.Float("a.float64"); !ok || x != 0.1 {
		t.Errorf("Float = %v, %v", x, ok)
	}
	if x, ok := m.Bool("a.bool"); !ok || !x {
		t.Errorf("Bool = %v, %v", x, ok)
	}
	if x, ok := m.Text("a.string"); !ok || x != "Grüße ▁" {
		t.Errorf("Text = %v, %v", x, ok)
	}
}

// Written again from the float32 values, the file has the Python package's bytes.
func TestWritesThePythonPackagesBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/written.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Tensor("x.f32")
	var sources []foreign.Source
	for _, from := range f.Tensors() {
		s := foreign.Source{Name: from.Name, Shape: from.Shape, Type: from.Type, Values: x.Values}
		if from.Name == "bias" {
			s.Values = from.Values
		}
		sources = append(sources, s)
	}
	path := t.TempDir() + "/x.gguf"
	if err := WriteFile(path, f.Metadata, sources); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	again, err := Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range f.Tensors() {
		to, _ := again.Tensor(from.Name)
		if !bytes.Equal(to.Bytes(), from.Bytes()) {
			t.Errorf("%s: got\n% x\nwant\n% x", from.Name, to.Bytes(), from.Bytes())
		}
	}
	t.Errorf("got %d bytes; want %d", len(got), len(want))
}

func TestVersion2(t *testing.T) {
	data, err := os.ReadFile("testdata/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	data[4] = 2
	if f, err := Parse(data); err != nil || len(f.Tensors()) != 11 {
		t.Errorf("version 2: %v", err)
	}
}

func TestAlignment(t *testing.T) {
	values := func() ([]float32, error) { return []float32{1, 2, 3}, nil }
	sources := []foreign.Source{{Name: "a", Shape: []int{3}, Type: foreign.F32, Values: values}, {Name: "b", Shape: []int{3}, Type: foreign.F16, Values: values}}
	for _, alignment := range []uint32{1, 8, 64, 4096} {
		var b bytes.Buffer
		if err := Write(&b, Metadata{{alignmentKey, alignment}}, sources); err != nil {
			t.Fatal(err)
		}
		f, err := Parse(b.Bytes())
		if err != nil {
			t.Fatalf("alignment %d: %v", alignment, err)
		}
		for _, x := range f.Tensors() {
			if got, err := x.Values(); err != nil || !slices.Equal(got, []float32{1, 2, 3}) {
				t.Errorf("alignment %d: %s is %v, %v", alignment, x.Name, got, err)
			}
		}
	}
}

func TestCodesGiveTheValues(t *testing.T) {
	for _, x := range open(t, "testdata/types.gguf").Tensors() {
		c, ok := Unpack(x)
		if want := x.Type == Q8_0 || x.Type == Q4_0 || x.Type == Q4_1; ok != want {
			t.Errorf("Unpack of %s is %v; want %v", x.Name, ok, want)
		}
		if !ok {
			continue
		}
		values, err := x.Values()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			got := c.Scales[i/32] * float32(c.Codes[i])
			if c.Minima != nil {
				got += c.Minima[i/32]
			}
			if got != v {
				t.Errorf("%s: code %d gives %v; want %v", x.Name, i, got, v)
				break
			}
		}
	}
}
