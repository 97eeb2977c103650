package gguf

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/foreign/foreigntest"
)

// FuzzParse: any file is read or refused, in memory of its own size class; what is read can be written and read again.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/types.gguf", "testdata/written.gguf"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(file(1, 1).align(8).tensor("a", 0, 0, 2).end(8).raw(8).b)
	f.Add(file(0, 2).text("a").u32(kindArray).u32(kindArray).u64(1).u32(kindString).u64(1).text("x").text("b").u32(kindBool).raw(1).b)
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		foreigntest.Bounded(t, len(data), func() { file, err = Parse(data) })
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			return
		}
		var sources []foreign.Source
		for _, x := range file.Tensors() {
			if _, err := x.Values(); (err == nil) != (x.Type.Decode != nil) {
				t.Errorf("%q of type %s: %v", x.Name, x.Type.Name, err)
			}
			if len(x.Name) > maxName {
				return // read, but not written
			}
			sources = append(sources, foreign.Source{Name: x.Name, Shape: x.Shape, Type: x.Type, Raw: func() ([]byte, error) { return x.Bytes(), nil }})
		}
		var b bytes.Buffer
		if err := Write(&b, file.Metadata, sources); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var c bytes.Buffer
		if err := Write(&c, again.Metadata, sources); err != nil || !bytes.Equal(b.Bytes(), c.Bytes()) {
			t.Errorf("the metadata did not come back: %v", err)
		}
		for _, x := range file.Tensors() {
			if y, ok := again.Tensor(x.Name); !ok || !bytes.Equal(y.Bytes(), x.Bytes()) || !reflect.DeepEqual(y.Shape, x.Shape) {
				t.Errorf("%q did not come back", x.Name)
			}
		}
	})
}
