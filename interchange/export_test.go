package interchange_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/interchange"
	"sparrow/model/decoder"
	"sparrow/nn"
)

// outgoing is an imported model on its way out.
func outgoing(m *interchange.Model, store *nn.Store) interchange.Checkpoint {
	return interchange.Checkpoint{
		Network: m.Network, Dims: m.Dims, Labels: m.Labels, Files: m.Files, Names: store.Names(),
		Shape:  func(name string) []int { return store.Shape(name) },
		Values: func(name string) []float32 { return store.Get(name).Float32s() },
	}
}

// TestRoundTrip: what was imported, exported and imported again has the same bytes in every array, and computes what
// transformers computes.
func TestRoundTrip(t *testing.T) {
	for _, dir := range goldens(t) {
		name := filepath.Base(dir)
		m, store := imported(t, dir)
		formats := []string{"hf"}
		if strings.HasPrefix(name, "qwen") || strings.HasPrefix(name, "llama") && name != "llama-tied-biased" || name == "mistral" || name == "gpt2" {
			formats = append(formats, "gguf")
		}
		for _, format := range formats {
			t.Run(name+"/"+format, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				if format == "gguf" {
					out += ".gguf"
					m.Files["tokenizer.json"] = pieceTokenizer(t, m.Dims.VocabSize)
				}
				if err := interchange.Export(outgoing(m, store), format, out, "F32"); err != nil {
					t.Fatal(err)
				}
				back, again := imported(t, out)
				if !slices.Equal(again.Names(), store.Names()) {
					t.Fatalf("arrays %v, want %v", again.Names(), store.Names())
				}
				for _, n := range store.Names() {
					if !slices.Equal(again.Get(n).Float32s(), store.Get(n).Float32s()) {
						t.Errorf("%s has other values", n)
					}
				}
				checkGolden(t, dir, back, again)
			})
		}
	}
}

// pieceTokenizer is a tokenizer.json of SentencePiece's kind with n tokens.
func pieceTokenizer(t testing.TB, n int) []byte {
	t.Helper()
	vocab := map[string]int{"<unk>": 0, "▁": 1}
	for i := 2; i < n; i++ {
		vocab[string(rune('a'+i))] = i
	}
	text, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": []any{map[string]any{"id": 0, "content": "<unk>", "special": true}},
		"normalizer": map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Prepend", "prepend": "▁"}, map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"},
		}},
		"model": map[string]any{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": []string{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestExportRefuses: a network that no family has, and a folder that is there, are errors, and nothing is written.
func TestExportRefuses(t *testing.T) {
	m, store := imported(t, "testdata/models/llama")
	there := t.TempDir()
	if err := interchange.Export(outgoing(m, store), "hf", there, "F32"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over a folder: %v", err)
	}
	odd := outgoing(m, store)
	configs.Edit(&odd.Network.OneOf, func(b *decoder.Config) { b.MLP = "relu" })
	out := filepath.Join(there, "new")
	if err := interchange.Export(odd, "hf", out, "F32"); err == nil || !strings.Contains(err.Error(), "not a network that transformers knows") {
		t.Errorf("a relu: %v", err)
	}
	if err := interchange.Export(outgoing(m, store), "gguf", out, "F99"); err == nil {
		t.Error("type F99 was taken")
	}
	for dir, want := range map[string]string{
		"bert": "want --format hf", "gpt2-untied": `mlp = "gelu_tanh" of gpt2, not "relu"; want --format hf`,
	} {
		m, store := imported(t, filepath.Join("testdata/models", dir))
		c := outgoing(m, store)
		if dir != "bert" {
			configs.Edit(&c.Network.OneOf, func(b *decoder.Config) { b.MLP = "relu" })
		}
		if err := interchange.Export(c, "gguf", out, "F32"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s as GGUF: %v, want %q", dir, err, want)
		}
	}
	if list, _ := os.ReadDir(there); len(list) != 0 {
		t.Errorf("files are left: %v", list)
	}
}
