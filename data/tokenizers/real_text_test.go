package tokenizers

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
)

// realTexts returns texts that the package was not written around: Go sources of the distribution, and the data sets in
// SPARROW_DATA or ../../../shared/data where they are present.
func realTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	output, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	for _, name := range []string{"fmt/print.go", "unicode/utf8/utf8_test.go", "strings/strings_test.go", "net/http/server.go"} {
		content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(output)), "src", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(content)
	}
	folder := os.Getenv("SPARROW_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	for _, name := range []string{"tinyshakespeare/input.txt", "wikitext2/valid.txt"} {
		if content, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name))); err == nil {
			texts[name] = string(content)
		}
	}
	return texts
}

func TestRoundTripOnRealText(t *testing.T) {
	texts := realTexts(t)
	var s data.Documents
	s.Add([]byte(texts["net/http/server.go"]), "", 0)
	bpe, err := trainBPE(t.Context(), &s, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		char, err := NewCharTokenizer(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, tokenizer := range []Tokenizer{ByteTokenizer{}, char, bpe} {
			t.Run(tokenizer.Kind()+"/"+name, func(t *testing.T) {
				ids, err := tokenizer.Encode(text)
				if err != nil {
					t.Fatal(err)
				}
				if tokenizer.Decode(ids) != text {
					t.Error("decoding does not give the text back")
				}
				// The encoder of corpora, which remembers words, gives the same ids.
				cached, err := NewDocumentEncoder(tokenizer)(nil, text)
				if err != nil || !slices.Equal(widened(cached), append(slices.Clone(ids), tokenizer.Separator())) {
					t.Errorf("the encoder of corpora differs (error %v)", err)
				}
				if tokenizer.Kind() == "bpe" && len(ids)*3 > len(text)*2 {
					t.Errorf("%d tokens for %d bytes, want at most two thirds", len(ids), len(text))
				}
			})
		}
	}
}
