package pickle

import (
	"os"
	"testing"

	"sparrow/checkpoints/foreign/foreigntest"
)

// FuzzParse: any file is read or refused, in memory of its own size class, and what is read has values.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"zip.bin", "stream.bin", "protocol4.bin", "hostile.bin"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(check)
}

// FuzzPickle is FuzzParse for the pickle in a zip, whose checksums would hide it from changes.
func FuzzPickle(f *testing.F) {
	f.Add(one(storage0, int4(0), int4(4)+"\x85", int4(1)+"\x85"))
	f.Add("}(" + text("a") + "Nu.")
	f.Add("]q\x00h\x00a.")
	f.Fuzz(func(t *testing.T, pickled string) { check(t, archive(t, pickled)) })
}

func check(t *testing.T, data []byte) {
	foreigntest.Bounded(t, len(data), func() {
		s, err := Parse(data)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			return
		}
		for _, x := range s.Tensors() {
			if want, err := x.Type.Bytes(x.Shape); err != nil || len(x.Bytes()) != want {
				t.Errorf("%q has %d bytes; want %d (%v)", x.Name, len(x.Bytes()), want, err)
			}
		}
	})
}
