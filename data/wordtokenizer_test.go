package data

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
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
	var s split
	s.add([]byte("The cat saw the dog. The DOG saw a bird’s nest"), "", 0)
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
			loaded, err := LoadTokenizer(trained.Save())
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
		if _, err := LoadTokenizer([]byte(content)); err == nil || !strings.Contains(err.Error(), want) {
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

func TestTextEncoder(t *testing.T) {
	words := newWordTokenizer(strings.Fields("a b c d e f g h i j k l m n o p q r s t"), true)
	bert, err := parseBERTVocab([]byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\n##x\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		tokenizer Tokenizer
		cut       string
		texts     []string
		want      string
		types     string
	}{
		{"words", words, "head", []string{"A b Zoo"}, "A b Zoo", "000"},
		{"words, head", words, "head", []string{"a b c d e f g h i j"}, "a b c d e f g h", "00000000"},
		{"words, head and tail", words, "head_tail", []string{"a b c d e f g h i j"}, "a b e f g h i j", "00000000"},
		{"nothing", words, "head", []string{" \n"}, "<unk>", "0"},
		{"pair", words, "head", []string{"a b", "c"}, "a b <sep> c", "0001"},
		{"pair with nothing", words, "head", []string{"", "c"}, "<unk> <sep> c", "001"},
		{"long first", words, "head", []string{"a b c d e f g", "h i"}, "a b c d e <sep> h i", "00000011"},
		{"long second", words, "head", []string{"a b", "h i j k l m n o"}, "a b <sep> h i j k l", "00011111"},
		{"both long", words, "head", []string{"a b c d e f", "h i j k l m"}, "a b c <sep> h i j k", "00001111"},
		{"bytes, pair", ByteTokenizer{}, "head", []string{"ab", "c"}, "a b \x00 c", "0001"},
		{"BERT", bert, "head", []string{"Áx zoo"}, "[CLS] a ##x [UNK] [SEP]", "00000"},
		{"BERT, long", bert, "head_tail", []string{"a b c d e f g h i"}, "[CLS] a e f g h i [SEP]", "00000000"},
		{"BERT, pair", bert, "head", []string{"a", "b c"}, "[CLS] a [SEP] b c [SEP]", "000111"},
		{"BERT, long pair", bert, "head", []string{"a b c d", "e f g h i"}, "[CLS] a b [SEP] e f g [SEP]", "00001111"},
		{"BERT, nothing", bert, "head", []string{""}, "[CLS] [SEP]", "00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.MaxLen, cfg.Cut = 8, test.cut
			e, err := NewTextEncoder(test.tokenizer, cfg)
			if err != nil {
				t.Fatal(err)
			}
			x, err := e.Encode(test.texts...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Words(test.texts...)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("tokens %q, want %q", got, test.want)
			}
			types := ""
			for _, typ := range x.Types {
				types += string(rune('0' + typ))
			}
			if types != test.types {
				t.Errorf("types %s, want %s", types, test.types)
			}
		})
	}
	e, err := NewTextEncoder(words, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, texts := range [][]string{{}, {"a", "b", "c"}, {"\xff"}} {
		if _, err := e.Encode(texts...); err == nil {
			t.Errorf("Encode(%q): no error", texts)
		}
	}
	if _, err := NewTextEncoder(words, Config{}); err == nil {
		t.Error("max_len = 0: no error")
	}
}

func TestLoadVectors(t *testing.T) {
	tokenizer := newWordTokenizer([]string{"good", "bad", "film"}, true)
	for _, test := range []struct{ name, content, want string }{
		{"glove", "good 1 2.5\nplot 0 0\nfilm -1e-1 3\n", ""},
		{"fastText", "3 2\ngood 1 2.5 \nfilm -0.1 3", ""},
		{"words with spaces", "good 1 2.5\r\n. . 1 2\r\nfilm -0.1 3\r\ngood 9 9\r\n", ""},
		{"too few numbers", "good 1 2\nfilm 1\n", `v.txt:2: 1 numbers after the word "film", want 2 as in the lines before`},
		{"too many numbers", "good 1 2\nplot 1 2 3\n", `v.txt:2: 3 numbers after the word "plot", want 2`},
		{"no number", "good 1 2\nfilm 1 x\n", `v.txt:2: number 2 of the word "film" is "x", want a finite number`},
		{"not finite", "good 1 NaN\n", `v.txt:1: number 2 of the word "good" is "NaN"`},
		{"no numbers", "good\n", `v.txt:1: 0 numbers after the word "good", want 1 to 16384`},
		{"empty", "", "v.txt: the file is empty"},
		{"other words", "plot 1 2\n", "none of the 3 words of the vocabulary is in it"},
		{"long line", strings.Repeat("a", 1<<21), "v.txt:1: the line is longer than 1048576 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := writeFile(t, "v.txt", test.content)
			v, err := LoadVectors(path, tokenizer)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := &Vectors{Dim: 2, Rows: []float32{0, 0, 0, 0, 0, 0, 1, 2.5, 0, 0, -0.1, 3}, Has: []bool{false, false, false, true, false, true}, Found: 2, Missing: 1}
			if diff := cmp.Diff(want, v); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if dim, err := vectorDim(path); dim != 2 || err != nil {
				t.Errorf("vectorDim: %d, %v", dim, err)
			}
		})
	}
	if _, err := LoadVectors("none.txt", tokenizer); !os.IsNotExist(err) && (err == nil || !strings.Contains(err.Error(), "none.txt")) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := LoadVectors("none.txt", ByteTokenizer{}); err == nil || !strings.Contains(err.Error(), `want tokenizer = "word"`) {
		t.Errorf("bytes: %v", err)
	}
	cfg := tsvConfig(writeFile(t, "x.tsv", sentences(30)))
	cfg.Vectors = writeFile(t, "v.txt", "film 1 2 3\n")
	d, err := OpenLabelled(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.Vectors.Found != 1 || !strings.Contains(d.Describe(), "vectors of 3 numbers for") {
		t.Errorf("%s", d.Describe())
	}
	if survey, err := Look(t.Context(), cfg); err != nil || survey.VectorDim != 3 {
		t.Errorf("Look: %+v, %v", survey, err)
	}
}
