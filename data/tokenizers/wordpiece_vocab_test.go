package tokenizers

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
)

func TestBERTVocabErrors(t *testing.T) {
	for content, want := range map[string]string{
		"":                           "line 1 is empty",
		"[UNK]\n[CLS]\n\n[SEP]\n":    "line 3 is empty, want a token",
		"[UNK]\n[CLS]\n[SEP]\na\na":  `line 5 has token "a" again, which line 4 has`,
		"[UNK]\n[CLS]\na\n":          "no token [SEP] in 3 lines",
		"[UNK]\n[CLS]\n[SEP]\na\xff": "not valid UTF-8 at byte 19 (0xff)",
	} {
		cfg := DefaultConfig()
		cfg.Tokenizer = filepath.Join(t.TempDir(), "vocab.txt")
		if err := os.WriteFile(cfg.Tokenizer, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "vocab.txt") {
			t.Errorf("%q: got error %v, want one with %q", content, err, want)
		}
	}
	if tokenizer, err := parseBERTVocab([]byte("[UNK]\r\n[CLS]\r\n[SEP]\r\na"), true); err != nil || tokenizer.VocabSize() != 4 {
		t.Errorf("carriage returns: %v", err)
	}
}

func TestTrainWordPiece(t *testing.T) {
	for _, test := range []struct {
		name, text string
		vocabSize  int
		lowercase  bool
		want       []string // from id 5
	}{
		{"alphabet, then the most frequent pairs", "abb Abb abb ab", 32, true, []string{"a", "b", "##b", "ab", "abb"}},
		{"case kept", "Ab Ab ab", 32, false, []string{"A", "a", "b", "##b", "Ab"}},
		{"accents", "é é", 32, true, []string{"e"}},
		{"ties go to the lower ids", "cd ab cd ab", 14, true, []string{"a", "b", "c", "d", "##b", "##d", "ab", "cd"}},
		{"punctuation apart", "ab.ab", 32, true, []string{".", "a", "b", "##b", "ab"}},
		{"rare characters", "a a a b b c", 9, true, []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s data.Documents
			s.Add([]byte(test.text), "", 0)
			cfg := DefaultConfig()
			cfg.VocabSize, cfg.Lowercase = test.vocabSize, test.lowercase
			tokenizer, err := trainWordPiece(t.Context(), &s, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := tokenizer.tokens[5:]; !slices.Equal(got, test.want) || !slices.Equal(tokenizer.tokens[:5], bertSpecials) {
				t.Errorf("learned %q after %q, want %q", got, tokenizer.tokens[:5], test.want)
			}
			want := SpecialIDs{Pad: 0, Unknown: 1, Start: 2, Separator: 3, Mask: 4}
			if got := Specials(tokenizer); got != want {
				t.Errorf("special ids %+v, want %+v", got, want)
			}
		})
	}
	var s data.Documents
	s.Add([]byte(" \n"), "", 0)
	if _, err := trainWordPiece(t.Context(), &s, DefaultConfig()); err == nil || !strings.Contains(err.Error(), "no words") {
		t.Errorf("no words: %v", err)
	}
}

// TestWordPieceTrainingParity: Hugging Face's trainer takes pairs of equal count in no fixed order, so that vocabularies of
// equal text agree except where ties were near the end.
func TestWordPieceTrainingParity(t *testing.T) {
	for name, lowercase := range map[string]bool{"wordpiece": true, "wordpiece_cased": false} {
		var s data.Documents
		s.Add(readTestdata(t, "corpus.txt"), "corpus.txt", 0)
		cfg := DefaultConfig()
		cfg.VocabSize, cfg.Lowercase = 400, lowercase
		trained, err := trainWordPiece(t.Context(), &s, cfg)
		if err != nil {
			t.Fatal(err)
		}
		golden, cases := readGolden(t, name)
		theirs := golden.(*WordPiece)
		missing := 0
		for token := range maps.Keys(theirs.ids) {
			if _, ok := trained.ids[token]; !ok {
				if missing++; len([]rune(strings.TrimPrefix(token, "##"))) == 1 {
					t.Errorf("%s: %q of the alphabet is missing", name, token)
				}
			}
		}
		t.Logf("%s: %d of %d tokens differ", name, missing, theirs.VocabSize())
		if missing > theirs.VocabSize()/20 || trained.VocabSize() != theirs.VocabSize() {
			t.Errorf("%s: %d of %d tokens are missing", name, missing, theirs.VocabSize())
		}
		for _, test := range cases { // the cache of corpora changes no ids
			want, err := theirs.Encode(test.Text)
			if err != nil {
				t.Fatal(err)
			}
			encode := NewEncoder(theirs)
			for range 2 {
				if ids, err := encode(nil, test.Text); err != nil || !slices.Equal(widened(ids), want) {
					t.Errorf("%s: cached ids of %q are %v, want %v", name, test.Text, ids, want)
				}
			}
		}
	}
}

// TestHuggingFaceReadsWordPiece compares ids of real text where SPARROW_PYTHON has Hugging Face tokenizers.
func TestHuggingFaceReadsWordPiece(t *testing.T) {
	python := os.Getenv("SPARROW_PYTHON")
	if python == "" {
		t.Skip("SPARROW_PYTHON is not set")
	}
	if err := exec.Command(python, "-c", "import tokenizers").Run(); err != nil {
		t.Skipf("%s has no package tokenizers", python)
	}
	texts := realTexts(t)
	for _, lowercase := range []bool{true, false} {
		var s data.Documents
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			s.Add([]byte(texts[name]), name, 0)
		}
		cfg := DefaultConfig()
		cfg.VocabSize, cfg.Lowercase = 3000, lowercase
		tokenizer, err := trainWordPiece(t.Context(), &s, cfg)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "tokenizer.json")
		if err := os.WriteFile(path, tokenizer.Save(), 0o644); err != nil {
			t.Fatal(err)
		}
		for name, text := range texts {
			const script = `import json, sys
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
print(json.dumps(tokenizer.encode(sys.stdin.buffer.read().decode("utf-8")).ids))`
			command := exec.Command(python, "-c", script, path)
			command.Stdin, command.Stderr = strings.NewReader(text), os.Stderr
			output, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			var want []int
			if err := json.Unmarshal(output, &want); err != nil {
				t.Fatal(err)
			}
			got, err := tokenizer.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(append([]int{2}, got...), 3); !slices.Equal(got, want) {
				t.Errorf("%s, lowercase %v: %d ids here, %d by Hugging Face, or others", name, lowercase, len(got), len(want))
			}
		}
	}
}
