package labelled

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sparrow/data/tokenizers"
)

// wordTokenizer returns a tokenizer of lower-case words.
func wordTokenizer(t *testing.T, words string) tokenizers.Tokenizer {
	t.Helper()
	content, err := json.Marshal(map[string]any{"type": "word", "lowercase": true, "words": strings.Fields(words)})
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenizers.Load(content)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

func TestTextEncoder(t *testing.T) {
	words := wordTokenizer(t, "a b c d e f g h i j k l m n o p q r s t")
	vocab := writeFile(t, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\n##x\n")
	bert, err := tokenizers.New(t.Context(), tokenizers.Config{Tokenizer: vocab, Lowercase: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		tokenizer tokenizers.Tokenizer
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
		{"bytes, pair", tokenizers.ByteTokenizer{}, "head", []string{"ab", "c"}, "a b \x00 c", "0001"},
		{"BERT", bert, "head", []string{"Áx zoo"}, "[CLS] a ##x [UNK] [SEP]", "00000"},
		{"BERT, long", bert, "head_tail", []string{"a b c d e f g h i"}, "[CLS] a e f g h i [SEP]", "00000000"},
		{"BERT, pair", bert, "head", []string{"a", "b c"}, "[CLS] a [SEP] b c [SEP]", "000111"},
		{"BERT, long pair", bert, "head", []string{"a b c d", "e f g h i"}, "[CLS] a b [SEP] e f g [SEP]", "00001111"},
		{"BERT, nothing", bert, "head", []string{""}, "[CLS] [SEP]", "00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := NewTextEncoder(test.tokenizer, Lengths{MaxLen: 8, Cut: test.cut})
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
	e, err := NewTextEncoder(words, DefaultOptions().Lengths)
	if err != nil {
		t.Fatal(err)
	}
	for _, texts := range [][]string{{}, {"a", "b", "c"}, {"\xff"}} {
		if _, err := e.Encode(texts...); err == nil {
			t.Errorf("Encode(%q): no error", texts)
		}
	}
	if _, err := NewTextEncoder(words, Lengths{}); err == nil {
		t.Error("max_len = 0: no error")
	}
}

// TestBertTokenizerParity: a vocab.txt gives the ids, special tokens, types and cuts of Hugging Face's BertTokenizer.
func TestBertTokenizerParity(t *testing.T) {
	var cases []struct {
		Lowercase  bool
		Texts      []string
		MaxLen     int `json:"max_len"`
		IDs, Types []int
	}
	content, err := os.ReadFile(filepath.Join("..", "tokenizers", "testdata", "bert.golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 40 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, test := range cases {
		cfg := DefaultOptions()
		cfg.Tokenizer, cfg.Lowercase, cfg.MaxLen = filepath.Join("..", "tokenizers", "testdata", "bert.vocab.txt"), test.Lowercase, 4096
		if test.MaxLen > 0 {
			cfg.MaxLen = test.MaxLen
		}
		tokenizer, err := tokenizers.New(t.Context(), cfg.Config, nil)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := tokenizers.Load(tokenizer.Save())
		if err != nil {
			t.Fatal(err)
		}
		for _, tokenizer := range []tokenizers.Tokenizer{tokenizer, loaded} {
			e, err := NewTextEncoder(tokenizer, cfg.Lengths)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Encode(test.Texts...)
			if err != nil {
				t.Fatal(err)
			}
			want := Example{Tokens: test.IDs, Types: test.Types}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q, lowercase %v: (-Hugging Face +got)\n%s", test.Texts, test.Lowercase, diff)
			}
		}
	}
}
