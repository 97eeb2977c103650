package tokenizers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sparrow/data"
)

// goldenCase is what Hugging Face tokenizers made of a text; testdata/README.md says how the files came about.
type goldenCase struct {
	Name, Text, Decoded string
	IDs                 []int
}

func readGolden(t *testing.T, name string) (Tokenizer, []goldenCase) {
	t.Helper()
	tokenizer, err := Load(readTestdata(t, name+".tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(readTestdata(t, name+".golden.json"), &cases); err != nil {
		t.Fatal(err)
	}
	return tokenizer, cases
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestHuggingFaceParity(t *testing.T) {
	for _, name := range []string{"bpe", "roberta", "whole", "wordpiece", "wordpiece_cased"} {
		tokenizer, cases := readGolden(t, name)
		for _, test := range cases {
			t.Run(name+"/"+test.Name, func(t *testing.T) {
				ids, err := tokenizer.Encode(test.Text)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.IDs, ids); diff != "" {
					t.Errorf("Encode(%q): (-Hugging Face +got)\n%s", test.Text, diff)
				}
				if got := tokenizer.Decode(test.IDs); got != test.Decoded {
					t.Errorf("Decode of %q\n got %q\nwant %q", test.Text, got, test.Decoded)
				}
				var b strings.Builder
				stream := NewStream(tokenizer)
				for _, id := range test.IDs {
					b.WriteString(stream.Push(id))
				}
				b.WriteString(stream.Flush())
				if b.String() != test.Decoded {
					t.Errorf("stream of %q\n got %q\nwant %q", test.Text, b.String(), test.Decoded)
				}
			})
		}
	}
}

func TestTrainingParity(t *testing.T) {
	var s data.Documents
	s.Add(readTestdata(t, "corpus.txt"), "corpus.txt", 0)
	trained, err := trainBPE(t.Context(), &s, 600)
	if err != nil {
		t.Fatal(err)
	}
	var got, want hfFile
	if err := json.Unmarshal(trained.Save(), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(readTestdata(t, "bpe.tokenizer.json"), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Model.Merges, want.Model.Merges) {
		t.Errorf("merges: (-Hugging Face +got)\n%s", cmp.Diff(want.Model.Merges, got.Model.Merges))
	}
	if !reflect.DeepEqual(got.Model.Vocab, want.Model.Vocab) {
		t.Errorf("vocabulary: (-Hugging Face +got)\n%s", cmp.Diff(want.Model.Vocab, got.Model.Vocab))
	}
	if !reflect.DeepEqual(got.AddedTokens, want.AddedTokens) {
		t.Errorf("added tokens: (-Hugging Face +got)\n%s", cmp.Diff(want.AddedTokens, got.AddedTokens))
	}
}
