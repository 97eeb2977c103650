package tokenizers

import (
	"os"
	"testing"
)

// TestPieces: a vocabulary's mark for the beginning of a word, or for what goes on within one, does not show in a piece's text,
// and special tokens have their names.
func TestPieces(t *testing.T) {
	read := func(path string) Tokenizer {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		x, err := Load(content)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct{ path, text, special string }{
		{"testdata/bpe.tokenizer.json", " the", "<|endoftext|>"},
		{"testdata/wordpiece.tokenizer.json", " the", "[CLS]"},
		{"testdata/roberta.tokenizer.json", " the", "<s>"},
	} {
		tokenizer := read(c.path)
		pieces := Pieces(tokenizer)
		if len(pieces) != tokenizer.VocabSize() {
			t.Fatalf("%s: %d pieces, want %d", c.path, len(pieces), tokenizer.VocabSize())
		}
		found := map[string]Piece{}
		for _, p := range pieces {
			found[p.Text] = p
		}
		if p, ok := found[c.text]; !ok || p.Special || !p.Defined {
			t.Errorf("%s: the piece %q is %+v", c.path, c.text, p)
		}
		if p, ok := found[c.special]; !ok || !p.Special {
			t.Errorf("%s: the piece %q is %+v, want it special", c.path, c.special, p)
		}
		ids, err := tokenizer.Encode("one of them is the other")
		if err != nil {
			t.Fatal(err)
		}
		joined := ""
		for _, id := range ids {
			joined += pieces[id].Text
		}
		if joined != "one of them is the other" && joined != " one of them is the other" {
			t.Errorf("%s: pieces join to %q", c.path, joined)
		}
	}
	words := Pieces(newWordTokenizer([]string{"a"}, true))
	if !words[wordUnknown].Special || words[wordUnknown].Text != "<unk>" || words[3].Special {
		t.Errorf("pieces of words: %+v", words)
	}
}

// TestWithSpecials: more special tokens come after the last id, are found in text, and are read back; those that are there stay.
func TestWithSpecials(t *testing.T) {
	trained, _ := trainedUnigram(t, 400)
	more, err := WithSpecials(trained, []string{"<|im_start|>", "<|endoftext|>", "<|im_end|>", "<|im_start|>"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(more.Save())
	if err != nil {
		t.Fatal(err)
	}
	if again.VocabSize() != 402 {
		t.Errorf("%d tokens, want 402", again.VocabSize())
	}
	ids, err := again.Encode("<|im_start|>the<|im_end|>")
	if err != nil || ids[0] != 400 || ids[len(ids)-1] != 401 {
		t.Errorf("ids %v, %v", ids, err)
	}
	if p := Pieces(again)[401]; !p.Special || p.Text != "<|im_end|>" {
		t.Errorf("piece 401 is %+v", p)
	}
	if _, err := WithSpecials(ByteTokenizer{}, []string{"<s>"}); err == nil {
		t.Error("bytes have a special token")
	}
}
