package recipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/data/text"
	"sparrow/data/tokenizers"
)

// TestLookAgreesWithOpen: what is known before reading is what reading finds.
func TestLookAgreesWithOpen(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for name, n := range map[string]int{"a.txt": 300, "b.txt": 200} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat("one two\n", n)), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	saved := filepath.Join(dir, "tokenizer.json")
	if err := os.WriteFile(saved, tokenizers.ByteTokenizer{}.Save(), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Data){
		"bytes":       func(c *Data) {},
		"file":        func(c *Data) { c.Tokenizer = saved },
		"capped":      func(c *Data) { c.MaxBytes = 1700 },
		"part of one": func(c *Data) { c.MaxBytes = 800 },
		"goroot":      func(c *Data) { c.Source, c.Paths, c.MaxBytes = "goroot", nil, 200_000 },
		"bpe":         func(c *Data) { c.Tokenizer, c.VocabSize = "bpe", 258 },
		"characters":  func(c *Data) { c.Tokenizer = "char" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultData()
			cfg.Source, cfg.Paths, cfg.SeqLen = "text", paths, 8
			change(&cfg)
			s, err := Look(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			d, err := text.Open(context.Background(), cfg.Text())
			if err != nil {
				t.Fatal(err)
			}
			if files := fmt.Sprintf("%s: %d files, ", cfg.Source, s.Files); !strings.HasPrefix(d.Describe(), files) || int(s.Bytes) != d.TextBytes() {
				t.Errorf("Look: %d files, %d bytes; Open: %s, %d bytes", s.Files, s.Bytes, d.Describe(), d.TextBytes())
			}
			if want := d.Tokenizer.VocabSize(); s.VocabSize != want && cfg.Tokenizer != "char" || cfg.Tokenizer == "char" && s.VocabSize != 0 {
				t.Errorf("Look: %d ids, Open: %d", s.VocabSize, want)
			}
			if made := cfg.Tokenizer == "bpe" || cfg.Tokenizer == "char"; made != (s.Tokenizer == nil) {
				t.Errorf("tokenizer %v before the text is read", s.Tokenizer)
			}
		})
	}
	cfg := DefaultData()
	cfg.Source, cfg.Paths = "text", []string{filepath.Join(dir, "none.txt")}
	if _, err := Look(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("a missing file: %v", err)
	}
}
