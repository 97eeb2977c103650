package checkpoints

import (
	"path/filepath"
	"testing"
)

// benchContents is 64 MiB of float32 in one array.
func benchContents() Contents {
	const n = 4096
	return Contents{Arrays: map[string][]Array{"model.npz": {{"w", []int{n, n}, make([]float32, n*n)}}}}
}

func BenchmarkWrite(b *testing.B) {
	c := benchContents()
	dir := filepath.Join(b.TempDir(), "ck")
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(dir, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadInto(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "ck")
	if err := Write(dir, benchContents()); err != nil {
		b.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	dst := like(benchContents().Arrays["model.npz"])
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.ReadInto("model.npz", dst); err != nil {
			b.Fatal(err)
		}
	}
}
