package safetensors

import (
	"os"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/foreign/foreigntest"
)

// FuzzParse: any file is read or refused, in memory of its own size class; what is read can be written and read again.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/types.safetensors", "testdata/model-00002-of-00002.safetensors"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
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
			sources = append(sources, foreign.Source{Name: x.Name, Shape: x.Shape, Type: x.Type, Raw: func() ([]byte, error) { return x.Bytes(), nil }})
		}
		var w writer
		if err := Write(&w, sources, file.Metadata); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(w.data)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range file.Tensors() {
			if y, ok := again.Tensor(x.Name); !ok || string(y.Bytes()) != string(x.Bytes()) {
				t.Errorf("%q did not come back", x.Name)
			}
		}
	})
}

type writer struct{ data []byte }

func (w *writer) Write(p []byte) (int, error) { w.data = append(w.data, p...); return len(p), nil }
