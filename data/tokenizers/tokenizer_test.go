package tokenizers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sparrow/data"
)

// testTokenizers returns one of each kind, the trained ones from testdata/corpus.txt.
func testTokenizers(t testing.TB) map[string]Tokenizer {
	t.Helper()
	corpus := string(readTestdata(t, "corpus.txt"))
	char, err := NewCharTokenizer(corpus)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Tokenizer{"byte": ByteTokenizer{}, "char": char}
	for _, name := range []string{"bpe", "wordpiece"} {
		if all[name], err = Load(readTestdata(t, name+".tokenizer.json")); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestTokenizersRoundTrip(t *testing.T) {
	corpus := string(readTestdata(t, "corpus.txt"))
	for name, tokenizer := range testTokenizers(t) {
		if name == "wordpiece" {
			continue // normalization is not undone; the golden files have its decoding
		}
		t.Run(name, func(t *testing.T) {
			ids, err := tokenizer.Encode(corpus)
			if err != nil {
				t.Fatal(err)
			}
			if got := tokenizer.Decode(ids); got != corpus {
				t.Errorf("decoded text differs: %s", cmp.Diff(corpus, got))
			}
			for i, id := range ids {
				if id < 0 || id >= tokenizer.VocabSize() {
					t.Fatalf("id %d at %d, want below VocabSize %d", id, i, tokenizer.VocabSize())
				}
			}
		})
	}
}

func TestSaveLoad(t *testing.T) {
	corpus := string(readTestdata(t, "corpus.txt"))
	for name, tokenizer := range testTokenizers(t) {
		t.Run(name, func(t *testing.T) {
			saved := tokenizer.Save()
			loaded, err := Load(saved)
			if err != nil {
				t.Fatal(err)
			}
			if loaded.Kind() != name || loaded.Kind() != tokenizer.Kind() {
				t.Errorf("kind %q after loading, %q before, want %q", loaded.Kind(), tokenizer.Kind(), name)
			}
			if a, b := loaded.VocabSize(), tokenizer.VocabSize(); a != b {
				t.Errorf("vocabulary of %d after loading, %d before", a, b)
			}
			if a, b := loaded.Separator(), tokenizer.Separator(); a != b {
				t.Errorf("separator %d after loading, %d before", a, b)
			}
			want, _ := tokenizer.Encode(corpus)
			if got, err := loaded.Encode(corpus); err != nil || !slices.Equal(got, want) {
				t.Errorf("ids differ after loading (error %v)", err)
			}
			if !bytes.Equal(loaded.Save(), saved) {
				t.Error("saving again gives other bytes")
			}
		})
	}
}

func TestSeparators(t *testing.T) {
	for _, test := range []struct{ tokenizer, want string }{
		{"byte", "\x00"}, {"char", "\x00"}, {"bpe", "<|endoftext|>"}, {"wordpiece", "[SEP]"},
	} {
		tokenizer := testTokenizers(t)[test.tokenizer]
		if got := tokenizer.Decode([]int{tokenizer.Separator()}); got != test.want {
			t.Errorf("%s: separator is %q, want %q", test.tokenizer, got, test.want)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	for _, name := range []string{"char", "bpe", "wordpiece"} {
		tokenizer := testTokenizers(t)[name]
		t.Run(name, func(t *testing.T) {
			_, err := tokenizer.Encode("ab\ufffdé\xc3(")
			const want = "data: text is not valid UTF-8 at byte 7 (0xc3); the byte tokenizer takes any content"
			if err == nil || err.Error() != want {
				t.Errorf("got error %v, want %s", err, want)
			}
		})
	}
}

func TestDecodeOutsideVocabulary(t *testing.T) {
	for name, tokenizer := range testTokenizers(t) {
		for _, id := range []int{-1, tokenizer.VocabSize(), 1 << 40} {
			if got := tokenizer.Decode([]int{id}); got != "\ufffd" {
				t.Errorf("%s: Decode(%d) = %q, want U+FFFD", name, id, got)
			}
		}
	}
}

func TestCharUnknown(t *testing.T) {
	tokenizer, err := NewCharTokenizer("abé")
	if err != nil {
		t.Fatal(err)
	}
	if got := tokenizer.VocabSize(); got != 5 { // unknown, U+0000, a, b, é
		t.Errorf("VocabSize() = %d, want 5", got)
	}
	ids, err := tokenizer.Encode("éxa世")
	if want := []int{4, 0, 2, 0}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("Encode = %v, %v, want %v", ids, err, want)
	}
	if got := tokenizer.Decode(ids); got != "é\ufffda\ufffd" {
		t.Errorf("Decode = %q", got)
	}
	if _, err := NewCharTokenizer("a\xff"); err == nil || !strings.Contains(err.Error(), "not valid UTF-8 at byte 1") {
		t.Errorf("NewCharTokenizer of invalid UTF-8: %v", err)
	}
}

func TestStreamYieldsWholeRunes(t *testing.T) {
	for _, test := range []struct {
		name string
		ids  []int
		want []string // after each id, and after Flush
	}{
		{"ascii", []int{'a', 'b'}, []string{"a", "b", ""}},
		{"two bytes", []int{0xC3, 0xA9, 'x'}, []string{"", "é", "x", ""}},
		{"four bytes", []int{0xF0, 0x9F, 0x91, 0x8D}, []string{"", "", "", "👍", ""}},
		{"cut short by a letter", []int{0xE4, 0xBD, 'a'}, []string{"", "", "\ufffd\ufffda", ""}},
		{"cut short by the end", []int{0xE4, 0xBD}, []string{"", "", "\ufffd\ufffd"}},
		{"never a rune", []int{0xFF, 0x80}, []string{"\ufffd", "\ufffd", ""}},
		{"outside the vocabulary", []int{300, 'a'}, []string{"\ufffd", "a", ""}},
		{"nothing", nil, []string{""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := NewStream(ByteTokenizer{})
			var got []string
			for _, id := range test.ids {
				got = append(got, stream.Push(id))
			}
			got = append(got, stream.Flush())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, piece := range got {
				if !utf8.ValidString(piece) {
					t.Errorf("piece %q is not valid UTF-8", piece)
				}
			}
		})
	}
}

func TestLoadTokenizerErrors(t *testing.T) {
	const start = `{"added_tokens":[],"pre_tokenizer":{"type":"ByteLevel"},`
	bpe := string(readTestdata(t, "bpe.tokenizer.json"))
	wordpiece := string(readTestdata(t, "wordpiece.tokenizer.json"))
	replace := func(content, old, new string) string {
		t.Helper()
		if !strings.Contains(content, old) {
			t.Fatalf("the test file has no %s", old)
		}
		return strings.Replace(content, old, new, 1)
	}
	for _, test := range []struct{ name, content, want string }{
		{"no JSON", `hello`, "data: tokenizer.json: invalid character 'h'"},
		{"cut short", bpe[:1000], "unexpected end of JSON input"},
		{"neither ours nor theirs", `{}`, `neither "type" nor "model" found`},
		{"unknown type", `{"type":"morse"}`, `type "morse", want "byte", "char"`},
		{"char out of order", `{"type":"char","runes":"\u0000ba"}`, `"runes" has 'a' after 'b'`},
		{"char without separator", `{"type":"char","runes":"ab"}`, `does not begin with the separator`},
		{"char of a wrong type", `{"type":"char","runes":1}`, `cannot unmarshal number`},
		{"unknown model", `{"model":{"type":"Morse","vocab":{}}}`, `type "Morse" is not supported, want BPE, WordPiece, Unigram or WordLevel`},
		{"empty unigram", `{"model":{"type":"Unigram","vocab":[]}}`, "empty vocab"},
		{"unigram twice", `{"model":{"type":"Unigram","vocab":[["a",-1],["a",-2]]}}`, `"a" stands twice`},
		{"unigram unknown", `{"model":{"type":"Unigram","unk_id":7,"vocab":[["a",-1]]}}`, "unk_id = 7, want 0 to 0"},
		{"wordlevel unknown token", `{"model":{"type":"WordLevel","unk_token":"?","vocab":{"a":0}}}`, `unk_token "?" is not in vocab`},
		{"empty vocabulary", start + `"model":{"type":"BPE","vocab":{},"merges":[]}}`, "empty vocab"},
		{"missing bytes", start + `"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`, "vocab has no token for byte 0x00"},
		{"negative id", start + `"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`, `token "a" has id -1`},
		{"huge id", start + `"model":{"type":"BPE","vocab":{"a":1152921504606846976},"merges":[]}}`, `token "a" has id 1152921504606846976`},
		{"merge of three", start + `"model":{"type":"BPE","vocab":{"a":0},"merges":["a b c"]}}`, "has 3 tokens, want 2"},
		{"merge of numbers", start + `"model":{"type":"BPE","vocab":{"a":0},"merges":[7]}}`, `merge 7, want ["a", "b"] or "a b"`},
		{"merge of unknown tokens", replace(bpe, `"merges":[`, `"merges":[["a","qqq"],`), `merge 0 of "a" and "qqq": token "qqq" is not in vocab`},
		{"normalizer", replace(bpe, `"normalizer":null`, `"normalizer":{"type":"Rot13"}`), `normalizer: "Rot13" is not supported`},
		{"expression", replace(bpe, `"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"Regex":"a(?=b)"},"content":""}`), "look-around is not supported"},
		{"possessive", replace(bpe, `"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"Regex":"a++"},"content":""}`), "possessive repetition"},
		{"charsmap", replace(bpe, `"normalizer":null`, `"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="}`), "precompiled_charsmap"},
		{"nested normalizers", replace(bpe, `"normalizer":null`, `"normalizer":`+strings.Repeat(`{"type":"Sequence","normalizers":[`, 40)+strings.Repeat("]}", 40)), "nested deeper than 16"},
		{"template", strings.Replace(replace(bpe, `"normalizer":null`, `"normalizer":{"type":"NFC"}`), `"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],"pair":[],"special_tokens":{}}`, 1), `token "x" is not among special_tokens`},
		{"pre-tokenizer", replace(bpe, `"pre_tokenizer":{"type":"ByteLevel"`, `"pre_tokenizer":{"type":"Metaspace"`), `the replacement "" of Metaspace`},
		{"behavior", replace(bpe, `"pre_tokenizer":{"type":"ByteLevel"`, `"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Eaten"`), `the behavior "Eaten"`},
		{"dropout", replace(bpe, `"dropout":null`, `"dropout":0.1`), "dropout 0.1"},
		{"prefix", replace(bpe, `"continuing_subword_prefix":null`, `"continuing_subword_prefix":"@@"`), `does not begin with continuing_subword_prefix "@@"`},
		{"added token without content", replace(bpe, `"content":"<|endoftext|>"`, `"content":""`), "has no content"},
		{"one id, two tokens", replace(bpe, `"!":1,`, `"!":2,`), "id 2 stands for"},
		{"wordpiece normalizer", replace(wordpiece, `"BertNormalizer"`, `"Bert"`), `normalizer: "Bert" is not supported`},
		{"wordpiece pre-tokenizer", replace(wordpiece, `"BertPreTokenizer"`, `"Bert"`), `pre_tokenizer: "Bert" is not supported`},
		{"wordpiece decoder", replace(wordpiece, `"decoder":{"type":"WordPiece"`, `"decoder":{"type":"Morse"`), `decoder: "Morse" is not supported`},
		{"wordpiece unknown token", replace(wordpiece, `"unk_token":"[UNK]"`, `"unk_token":"?!"`), `unk_token "?!" is not in vocab`},
		{"wordpiece word length", replace(wordpiece, `"max_input_chars_per_word":100`, `"max_input_chars_per_word":0`), `max_input_chars_per_word = 0`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load([]byte(test.content))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v, want one with %q", err, test.want)
			}
			if strings.Count(err.Error(), "data: ") != 1 {
				t.Errorf("error %q, want the package once", err)
			}
		})
	}
}

// TestOldMergeForm reads "a b" for ["a", "b"], as files written before 2024 have it.
func TestOldMergeForm(t *testing.T) {
	var file map[string]any
	if err := json.Unmarshal(readTestdata(t, "bpe.tokenizer.json"), &file); err != nil {
		t.Fatal(err)
	}
	merges := file["model"].(map[string]any)["merges"].([]any)
	for i, pair := range merges {
		merges[i] = fmt.Sprintf("%s %s", pair.([]any)...)
	}
	content, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(content)
	if err != nil {
		t.Fatal(err)
	}
	want, cases := readGolden(t, "bpe")
	for _, test := range cases {
		ids, err := got.Encode(test.Text)
		if err != nil || !slices.Equal(ids, test.IDs) {
			t.Errorf("%s: Encode = %v, %v, want %v", test.Name, ids, err, test.IDs)
		}
	}
	if got.VocabSize() != want.VocabSize() {
		t.Errorf("VocabSize %d, want %d", got.VocabSize(), want.VocabSize())
	}
}

func TestTrainBPE(t *testing.T) {
	for _, test := range []struct {
		name, text string
		vocabSize  int
		want       []string // texts from id 257
	}{
		{"most frequent first", "abab abab ab xy xy", 259, []string{"ab", "xy"}},
		{"ties go to the lower ids", "ab cd ab cd", 258, []string{"ab"}},
		{"stops when nothing occurs twice", "ab cd", 400, nil},
		{"repetition", "aaaa aaaa", 260, []string{"aa", "aaaa"}},
		{"never across words", "a1a1a1", 300, nil},
		{"no text", "", 300, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s data.Documents
			s.Add([]byte(test.text), "", 0)
			tokenizer, err := trainBPE(t.Context(), &s, test.vocabSize)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for id := vocabLimits["bpe"][0]; id < tokenizer.VocabSize(); id++ {
				got = append(got, tokenizer.Decode([]int{id}))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("learned tokens (-want +got)\n%s", diff)
			}
		})
	}
}

func TestWordLength(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"hello world", []string{"hello", " world"}},
		{"a  b", []string{"a", " ", " b"}},
		{"\n\tfoo()", []string{"\n", "\t", "foo", "()"}},
		{"x \n", []string{"x", " \n"}},
		{"it's we'll 'x", []string{"it", "'s", " we", "'ll", " '", "x"}},
		{"a1b22 33", []string{"a", "1", "b", "22", " 33"}},
		{"é世 ½", []string{"é世", " ½"}},
		{"\u00a0a", []string{"\u00a0", "a"}},
		{" ", []string{" "}},
		{"'", []string{"'"}},
	} {
		t.Run(fmt.Sprintf("%q", test.text), func(t *testing.T) {
			var got []string
			for text := test.text; text != ""; {
				n := wordLength(text)
				got, text = append(got, text[:n]), text[n:]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestKnown: a vocabulary's size is known before the text where the config or a file tells, and the tokenizer where it needs no
// text.
func TestKnown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vocab.txt")
	if err := os.WriteFile(file, []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		ids   int
		ready bool
	}{"byte": {256, true}, "bpe": {300, false}, "word": {300, false}, "wordpiece": {300, false}, "char": {0, false}, file: {7, true}} {
		got, ids, err := Known(t.Context(), Config{Tokenizer: name, VocabSize: 300})
		if err != nil || ids != want.ids || (got != nil) != want.ready {
			t.Errorf("%s: %v with %d ids, %v; want %+v", name, got, ids, err, want)
		}
	}
	if _, _, err := Known(t.Context(), Config{Tokenizer: "missing.json"}); err == nil {
		t.Error("a missing file is known")
	}
}

// TestMarkers: the tokens that stand for no text are those that the file lists as special, whatever they look like, and those with a
// part of their own.
func TestMarkers(t *testing.T) {
	for _, kind := range []string{`{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": {"a": 0, "b": 1, "<|b|>": 5}, "merges": []}`,
		`{"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"a": 0, "b": 1, "[UNK]": 4, "<|b|>": 5}}`} {
		text := `{"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null, "model": ` + kind + `,
"added_tokens": [{"id": 2, "content": "<turn>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
{"id": 3, "content": "<|looks|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false}]}`
		tokenizer, err := Load([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want := []int{2}
		if strings.Contains(kind, "UNK") {
			want = []int{2, 4}
		}
		if got := Markers(tokenizer); !slices.Equal(got, want) {
			t.Errorf("%.30s: %v, want %v", kind, got, want)
		}
	}
	if got := Markers(ByteTokenizer{}); !slices.Equal(got, []int{0}) { // which ends a document
		t.Errorf("bytes: %v", got)
	}
}
