package tokenizers

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRoundTrip checks that decoding undoes encoding, whole and streamed.
func FuzzRoundTrip(f *testing.F) {
	for _, text := range []string{"", "a", "\n\tif x {\r\n", "it's  ½ 世界 é", "<|endoftext|>", "\xff", "\xe4\xbd", "\ufffd", "aaaa aaaa"} {
		f.Add(text)
	}
	all := testTokenizers(f)
	f.Fuzz(func(t *testing.T, text string) {
		char, err := NewCharTokenizer(text)
		if utf8.ValidString(text) != (err == nil) {
			t.Fatalf("NewCharTokenizer(%q): error %v", text, err)
		}
		for _, tokenizer := range []Tokenizer{ByteTokenizer{}, char, all["bpe"]} {
			if tokenizer == Tokenizer((*CharTokenizer)(nil)) {
				continue
			}
			ids, err := tokenizer.Encode(text)
			if err != nil {
				if utf8.ValidString(text) {
					t.Errorf("%s: Encode(%q): %v", tokenizer.Kind(), text, err)
				}
				continue
			}
			if got := tokenizer.Decode(ids); got != text {
				t.Errorf("%s: %q comes back as %q", tokenizer.Kind(), text, got)
			}
			var b strings.Builder
			stream := NewStream(tokenizer)
			for _, id := range ids {
				piece := stream.Push(id)
				if !utf8.ValidString(piece) {
					t.Errorf("%s: streamed piece %q is not valid UTF-8", tokenizer.Kind(), piece)
				}
				b.WriteString(piece)
			}
			b.WriteString(stream.Flush())
			if want := string([]rune(text)); b.String() != want { // each invalid byte as U+FFFD
				t.Errorf("%s: %q streams as %q", tokenizer.Kind(), text, b.String())
			}
		}
	})
}

// FuzzLoadTokenizer checks that no content makes loading, or what was loaded, panic.
func FuzzLoadTokenizer(f *testing.F) {
	for _, tokenizer := range testTokenizers(f) {
		f.Add(tokenizer.Save())
	}
	f.Add([]byte(`{"model":{"type":"BPE"}}`))
	for _, seed := range []string{
		`{"normalizer":{"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"NFKC"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},"decoder":{"type":"Metaspace","replacement":"▁"},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-2],["l",-3],["lo",-3.5],["▁H",-4]]}}`,
		`{"added_tokens":[{"id":3,"content":"wörld","lstrip":true,"normalized":true}],"normalizer":{"type":"Prepend","prepend":"▁"},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"a":{"ids":[1]}}},"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Strip","content":" ","start":1,"stop":0}]},"model":{"type":"BPE","byte_fallback":true,"fuse_unk":true,"unk_token":"<unk>","vocab":{"<unk>":0,"l":1,"ll":2,"<0x0A>":4},"merges":[["l","l"]]}}`,
		`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\s+(?!\\S)|\\s+|\\w+"},"behavior":"MergedWithNext","invert":false},{"type":"Digits","individual_digits":true},{"type":"Punctuation"}]},"model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"Hello":1}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		tokenizer, err := Load(content)
		if err != nil {
			return
		}
		ids, err := tokenizer.Encode("Hello, wörld!\n\t世界")
		if _, general := tokenizer.(*Pipeline); general && err != nil {
			return // a vocabulary may lack characters and have no unknown token
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if id < 0 || id >= tokenizer.VocabSize() {
				t.Fatalf("id %d with a vocabulary of %d", id, tokenizer.VocabSize())
			}
		}
		tokenizer.Decode(ids)
	})
}

// FuzzEncode checks that no text makes a tokenizer of a model's kind panic, or give ids that it does not have, and that what it
// streams is valid UTF-8.
func FuzzEncode(f *testing.F) {
	paths, err := filepath.Glob("testdata/pipeline/*.json.gz")
	if err != nil || len(paths) < 10 {
		f.Fatalf("%d tokenizers, %v", len(paths), err)
	}
	var all []Tokenizer
	for _, path := range paths {
		t, err := Load(readPipelineGolden(f, path).Tokenizer)
		if err != nil {
			f.Fatalf("%s: %v", path, err)
		}
		all = append(all, t)
	}
	for i, text := range []string{"", " a  b", "Hello, wörld!\n\t世界 \U0001f469\u200d\U0001f4bb", "\u0000\u0301\u0301 x", "<s></s><|im_start|>user", "0123456789 don't I'LL", "\xff\xfe"} {
		f.Add(byte(i), text)
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		tokenizer := all[int(which)%len(all)]
		ids, err := tokenizer.Encode(text)
		if err != nil {
			if utf8.ValidString(text) {
				t.Errorf("%s: Encode(%q): %v", paths[int(which)%len(all)], text, err)
			}
			return
		}
		stream := NewStream(tokenizer)
		for _, id := range ids {
			if id < 0 || id >= tokenizer.VocabSize() {
				t.Fatalf("%s: id %d with a vocabulary of %d", paths[int(which)%len(all)], id, tokenizer.VocabSize())
			}
			if piece := stream.Push(id); !utf8.ValidString(piece) {
				t.Errorf("%s: streamed piece %q is not valid UTF-8", paths[int(which)%len(all)], piece)
			}
		}
		stream.Flush()
		tokenizer.Decode(ids)
	})
}
