package checkpoints

import (
	"bytes"
	"testing"
)

// FuzzNpz: no bytes in the place of an npz file make its reader panic, and what it reads is what the manifest says.
func FuzzNpz(f *testing.F) {
	var b bytes.Buffer
	arrays := []Array{{"a", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, {"b.c", []int{4}, []uint8{1, 2, 3, 4}}, {"d", nil, []int64{7}}}
	entries, err := writeNpz(&b, arrays)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		archive, err := openNpz(bytes.NewReader(content), int64(len(content)), entries)
		if err != nil {
			return
		}
		for i, e := range entries {
			dt, _ := dtypeNamed(e.DType)
			_ = readEntry(archive.File[i], e, newData(dt, e.elements()), make([]byte, 64))
		}
	})
}
