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
	for name, change := range map[string]func(*text.Files){
		"bytes":       func(c *text.Files) {},
		"file":        func(c *text.Files) { c.Tokenizer = saved },
		"capped":      func(c *text.Files) { c.MaxBytes = 1700 },
		"part of one": func(c *text.Files) { c.MaxBytes = 800 },
		"goroot":      func(c *text.Files) { c.Paths, c.MaxBytes = nil, 200_000 },
		"bpe":         func(c *text.Files) { c.Tokenizer, c.VocabSize = "bpe", 258 },
		"characters":  func(c *text.Files) { c.Tokenizer = "char" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := text.DefaultFiles()
			cfg.Paths, cfg.SeqLen = paths, 8
			change(&cfg)
			from := text.Source(cfg)
			if cfg.Paths == nil {
				from = text.Goroot{Options: cfg.Options}
			}
			s, err := Look(context.Background(), From(from))
			if err != nil {
				t.Fatal(err)
			}
			d, err := text.Open(context.Background(), from)
			if err != nil {
				t.Fatal(err)
			}
			if files := fmt.Sprintf("%s: %d files, ", from.Name(), s.Files); !strings.HasPrefix(d.Describe(), files) || int(s.Bytes) != d.TextBytes() {
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
	none := text.DefaultFiles()
	none.Paths = []string{filepath.Join(dir, "none.txt")}
	if _, err := Look(context.Background(), From(none)); err == nil || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("a missing file: %v", err)
	}
}
