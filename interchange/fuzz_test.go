package interchange_test

import (
	"os"
	"path/filepath"
	"testing"

	"sparrow/interchange"
)

// FuzzGGUF: no file makes the import of a GGUF panic: its config, its tokenizer and its names are a stranger's.
func FuzzGGUF(f *testing.F) {
	for _, name := range []string{"llama", "qwen2", "qwen3"} {
		s, err := interchange.Open(filepath.Join("testdata/models", name), interchange.Options{})
		if err != nil {
			f.Fatal(err)
		}
		m, err := s.Model()
		if err != nil {
			f.Fatal(err)
		}
		arrays, err := m.Arrays(nil)
		if err != nil {
			f.Fatal(err)
		}
		out := interchange.Checkpoint{Network: m.Network, Dims: m.Dims, Files: map[string][]byte{"tokenizer.json": pieceTokenizer(f, m.Dims.VocabSize)}}
		places := map[string]int{}
		for i, a := range arrays {
			out.Names, places[a.Name] = append(out.Names, a.Name), i
		}
		out.Shape = func(name string) []int { return arrays[places[name]].Shape }
		out.Values = func(name string) []float32 { return arrays[places[name]].Data.([]float32) }
		path := filepath.Join(f.TempDir(), "x.gguf")
		if err := interchange.Export(out, "gguf", path, "Q8_0"); err != nil {
			f.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		if err := s.Close(); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := interchange.Open(path, interchange.Options{})
		if err != nil {
			return
		}
		defer s.Close()
		if m, err := s.Model(); err == nil {
			_, _ = m.Arrays(nil)
		}
	})
}
