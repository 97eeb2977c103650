package text

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// textConfig returns a config over the corpus of the tokenizers' tests, read as two files.
func textConfig(t testing.TB, tokenizer string) Files {
	t.Helper()
	corpus, err := os.ReadFile(filepath.Join("..", "tokenizers", "testdata", "corpus.txt"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	half := lineCut(corpus, len(corpus)/2)
	for name, content := range map[string][]byte{"one.txt": corpus[:half], "two.txt": corpus[half:]} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg := DefaultFiles()
	cfg.Paths = []string{filepath.Join(folder, "*.txt")}
	cfg.Tokenizer, cfg.VocabSize, cfg.SeqLen, cfg.ValidationShare = tokenizer, 400, 32, 0.2
	return cfg
}

func allTokens(tokens *tokenizers.Tokens) []int {
	ids := make([]int, tokens.Len())
	tokens.Copy(ids, 0)
	return ids
}

func TestOpen(t *testing.T) {
	wordpiece, err := filepath.Abs("../tokenizers/testdata/wordpiece.tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, tokenizer, kind string
		describe              string
	}{
		{"byte", "byte", "byte", "text: 2 files, 0.0 MB of text, byte tokenizer with 256 ids"},
		{"char", "char", "char", "char tokenizer with"},
		{"bpe", "bpe", "bpe", "bpe tokenizer with 400 ids"},
		{"wordpiece", wordpiece, "wordpiece", "wordpiece tokenizer with 400 ids"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := textConfig(t, test.tokenizer)
			d, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if d.Tokenizer.Kind() != test.kind {
				t.Errorf("tokenizer is %q, want %q", d.Tokenizer.Kind(), test.kind)
			}
			if !strings.Contains(d.Describe(), test.describe) {
				t.Errorf("Describe() = %q, want it to have %q", d.Describe(), test.describe)
			}
			c, err := cfg.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.SHA256 != c.hash() || len(d.SHA256) != 64 {
				t.Errorf("SHA256 = %s, want %s", d.SHA256, c.hash())
			}
			// Each split is its documents, encoded one by one, each followed by the separator.
			for _, half := range []struct {
				name   string
				split  *data.Documents
				tokens *tokenizers.Tokens
			}{{"train", &c.Train, d.Train}, {"validation", &c.Validation, d.Validation}} {
				var want []int
				for i := range half.split.List {
					ids, err := d.Tokenizer.Encode(half.split.Content(i))
					if err != nil {
						t.Fatal(err)
					}
					want = append(append(want, ids...), d.Tokenizer.Separator())
				}
				if got := allTokens(half.tokens); !slices.Equal(got, want) {
					t.Errorf("%s has %d tokens, want %d, or other ids", half.name, len(got), len(want))
				}
			}

			loaded, err := tokenizers.Load(d.Tokenizer.Save())
			if err != nil {
				t.Fatal(err)
			}
			again, err := OpenWith(t.Context(), cfg, loaded)
			if err != nil {
				t.Fatal(err)
			}
			if again.SHA256 != d.SHA256 || !slices.Equal(allTokens(again.Train), allTokens(d.Train)) || !slices.Equal(allTokens(again.Validation), allTokens(d.Validation)) {
				t.Error("OpenWith the saved tokenizer gives other tokens")
			}
		})
	}
}

func TestOpenDoesNotDependOnThreads(t *testing.T) {
	cfg := textConfig(t, "bpe")
	open := func(threads int) *Dataset {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		d, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, three := open(1), open(3)
	if string(one.Tokenizer.Save()) != string(three.Tokenizer.Save()) || !slices.Equal(allTokens(one.Train), allTokens(three.Train)) {
		t.Error("one and three threads give different tokens")
	}
}

func TestHashTellsCorporaApart(t *testing.T) {
	make := func(train, validation string) string {
		var c Splits
		c.Train.Add([]byte(train), "", 0)
		c.Validation.Add([]byte(validation), "", 0)
		return c.hash()
	}
	hashes := []string{make("ab", "c"), make("a", "bc"), make("abc", ""), make("ab", "d"), make("a\x00b", "c")}
	for i, a := range hashes {
		if slices.Contains(hashes[i+1:], a) {
			t.Errorf("two corpora have the hash %s", a)
		}
	}
}

// TestGoroot reads a small part of the Go distribution; its size, not its content, is known.
func TestGoroot(t *testing.T) {
	cfg := DefaultGoroot()
	cfg.MaxBytes = 1 << 20
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := d.Train.Len(); n < 900_000 || n > 1<<20 {
		t.Errorf("%d training tokens with max_bytes = 1 MiB", n)
	}
	if share := float64(d.Validation.Len()) / float64(d.Validation.Len()+d.Train.Len()); share < 0.03 || share > 0.06 {
		t.Errorf("validation share %.3f, want about 0.05", share)
	}
	again, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if again.SHA256 != d.SHA256 {
		t.Errorf("SHA256 %s, then %s", d.SHA256, again.SHA256)
	}
}

// BenchmarkOpenGoroot loads all of the Go distribution's source.
func BenchmarkOpenGoroot(b *testing.B) {
	for _, tokenizer := range []string{"byte", "char", "bpe"} {
		b.Run(tokenizer, func(b *testing.B) {
			b.ReportAllocs()
			cfg := DefaultGoroot()
			cfg.Tokenizer = tokenizer
			for b.Loop() {
				d, err := Open(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(d.textBytes))
			}
		})
	}
}

// BenchmarkNext fills batches of 16 sequences of 256 tokens.
func BenchmarkNext(b *testing.B) {
	ids := make([]int, 1<<20)
	for i := range ids {
		ids[i] = i % 4096
	}
	tokens, err := tokenizers.NewTokens(4096, ids)
	if err != nil {
		b.Fatal(err)
	}
	loader := newLoader(b, tokens, LoaderConfig{SeqLen: 256, BatchSize: 16, Seed: 1})
	inputs, targets := make([]int, 16*256), make([]int, 16*256)
	for b.Loop() {
		loader.Next(inputs, targets)
	}
}
