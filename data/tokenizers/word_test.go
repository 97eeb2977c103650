package tokenizers

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sparrow/data"
)

func TestWords(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"The film, at 9.5!", []string{"The", "film", ",", "at", "9", ".", "5", "!"}},
		{"I don't; it's we'll DIDN'T He'D", []string{"I", "do", "n't", ";", "it", "'s", "we", "'ll", "DID", "N'T", "He", "'D"}},
		{"it 's what they do n't say", []string{"it", "'s", "what", "they", "do", "n't", "say"}},
		{"can’t ’s", []string{"ca", "n’t", "’s"}},
		{"'quoted' rock'n'roll O'Brien's dogs'", []string{"'", "quoted", "'", "rock'n'roll", "O'Brien", "'s", "dogs", "'"}},
		{"a''b '' n't", []string{"a", "'", "'", "b", "'", "'", "n't"}},
		{"naïve e\u0301t\u00e9 Größe 世界 १२", []string{"naïve", "e\u0301té", "Größe", "世界", "१२"}},
		{"a\u0096b\x00c\u0085d\u00a0e\ufffdf", []string{"a", "b", "c", "d", "e", "f"}},
		{"<br />…--", []string{"<", "br", "/", ">", "…", "-", "-"}},
	} {
		tokenizer := newWordTokenizer([]string{"x"}, true)
		if diff := cmp.Diff(test.want, tokenizer.Words(test.text)); diff != "" {
			t.Errorf("Words(%q): (-want +got)\n%s", test.text, diff)
		}
	}
}

func TestTrainWords(t *testing.T) {
	var s data.Documents
	s.Add([]byte("The cat saw the dog. The DOG saw a bird’s nest"), "", 0)
	for _, test := range []struct {
		name      string
		change    func(*Config)
		want      []string // from id 3
		text      string
		ids       []int
		roundtrip string
	}{
		{"all", func(*Config) {}, []string{"the", "dog", "saw", "'s", ".", "a", "bird", "cat", "nest"}, "The bird's cow", []int{3, 9, 6, 1}, "the bird 's <unk>"},
		{"frequent", func(c *Config) { c.MinCount = 2 }, []string{"the", "dog", "saw"}, "dog cat", []int{4, 1}, "dog <unk>"},
		{"few ids", func(c *Config) { c.VocabSize = 5 }, []string{"the", "dog"}, "the dog saw", []int{3, 4, 1}, "the dog <unk>"},
		{"case kept", func(c *Config) { c.Lowercase = false; c.VocabSize = 5 }, []string{"The", "saw"}, "The the saw", []int{3, 1, 4}, "The <unk> saw"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.MinCount = 1
			test.change(&cfg)
			trained, err := trainWords(t.Context(), &s, cfg)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := Load(trained.Save())
			if err != nil {
				t.Fatal(err)
			}
			for _, tokenizer := range []Tokenizer{trained, loaded} {
				if got := tokenizer.(*WordTokenizer).words[3:]; !slices.Equal(got, test.want) {
					t.Errorf("words %q, want %q", got, test.want)
				}
				ids, err := tokenizer.Encode(test.text)
				if err != nil || !slices.Equal(ids, test.ids) {
					t.Errorf("Encode(%q) = %v, %v; want %v", test.text, ids, err, test.ids)
				}
				if got := tokenizer.Decode(ids); got != test.roundtrip {
					t.Errorf("Decode = %q, want %q", got, test.roundtrip)
				}
				if tokenizer.Kind() != "word" || tokenizer.VocabSize() != 3+len(test.want) || tokenizer.Separator() != 2 {
					t.Errorf("%s tokenizer, %d ids, separator %d", tokenizer.Kind(), tokenizer.VocabSize(), tokenizer.Separator())
				}
			}
		})
	}
	for content, want := range map[string]string{
		`{"type":"word"}`:                       `"words" is empty`,
		`{"type":"word","words":["a","b","a"]}`: `has "a" twice, at 0 and 2`,
		`{"type":"word","words":["a",""]}`:      "empty word at 1",
		`{"type":"word","words":{"a":1}}`:       "cannot unmarshal",
	} {
		if _, err := Load([]byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
	if _, err := newWordTokenizer([]string{"a"}, true).Encode("a\xff"); err == nil {
		t.Error("text that is not UTF-8: no error")
	}
}

// FuzzWords checks that words are pieces of the text in its order, with nothing but white space and control characters
// between them.
func FuzzWords(f *testing.F) {
	for _, text := range []string{"", "I don't", "''s n't'", "é’t\u0301'", "a'\u0301s", "\xff'\xfes"} {
		f.Add(text)
	}
	tokenizer := newWordTokenizer([]string{"do"}, true)
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		words := tokenizer.Words(text)
		for _, word := range words {
			next := strings.Index(text[at:], word)
			if next < 0 || word == "" {
				t.Fatalf("%q of %q is not in %q", word, words, text[at:])
			}
			if strings.ContainsFunc(text[at:at+next], func(r rune) bool { return isWordRune(r) || isApostrophe(r) }) {
				t.Fatalf("words %q leave out a part of %q", words, text)
			}
			at += next + len(word)
		}
		if ids, err := tokenizer.Encode(text); utf8.ValidString(text) != (err == nil) || err == nil && len(ids) != len(words) {
			t.Fatalf("%d ids for %d words, error %v", len(ids), len(words), err)
		}
	})
}
