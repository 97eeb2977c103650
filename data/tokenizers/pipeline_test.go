package tokenizers

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pipelineGolden is what Hugging Face's library gives; see testdata/pipeline/make.py.
type pipelineGolden struct {
	Tokenizer json.RawMessage `json:"tokenizer"`
	Rows      []struct {
		IDs     []int  `json:"ids"`
		Framed  []int  `json:"framed"`
		Decoded string `json:"decoded"`
	} `json:"rows"`
	Pair  []int `json:"pair"`
	Types []int `json:"types"`
}

func readPipelineGolden(t testing.TB, path string) (g pipelineGolden) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&g)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return g
}

func pipelineTexts(t *testing.T) (texts []string) {
	t.Helper()
	content, err := os.ReadFile("testdata/pipeline/texts.json")
	if err == nil {
		err = json.Unmarshal(content, &texts)
	}
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestPipelineEqualsHuggingFace(t *testing.T) {
	paths, err := filepath.Glob("testdata/pipeline/*.json.gz")
	if err != nil || len(paths) < 13 {
		t.Fatalf("%d golden files, %v; want 13", len(paths), err)
	}
	texts := pipelineTexts(t)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json.gz"), func(t *testing.T) {
			g := readPipelineGolden(t, path)
			p, err := parsePipeline(g.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range g.Rows {
				ids, err := p.Encode(texts[i])
				if err != nil {
					t.Fatalf("text %d %q: %v", i, texts[i], err)
				}
				if !slices.Equal(ids, want.IDs) {
					t.Errorf("text %d %q:\n got %v\nwant %v", i, texts[i], ids, want.IDs)
					continue
				}
				framed := ids
				if p.Frame() != nil {
					framed, _ = p.Frame().Apply(ids)
				}
				if !slices.Equal(framed, want.Framed) {
					t.Errorf("text %d %q, framed:\n got %v\nwant %v", i, texts[i], framed, want.Framed)
				}
				if got := p.Decode(ids); got != want.Decoded {
					t.Errorf("text %d %q, decoded:\n got %q\nwant %q", i, texts[i], got, want.Decoded)
				}
			}
			if p.Frame() == nil {
				return
			}
			a, _ := p.Encode(texts[0])
			b, _ := p.Encode(texts[1])
			if ids, types := p.Frame().Apply(a, b); !slices.Equal(ids, g.Pair) || !slices.Equal(types, g.Types) {
				t.Errorf("pair:\n got %v %v\nwant %v %v", ids, types, g.Pair, g.Types)
			}
		})
	}
}
