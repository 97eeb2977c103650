package tokenizers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
)

// TestHuggingFaceReadsSavedTokenizer compares the ids of real text where SPARROW_PYTHON names an interpreter that has
// Hugging Face tokenizers. The golden files prove the same on less text without it.
func TestHuggingFaceReadsSavedTokenizer(t *testing.T) {
	python := os.Getenv("SPARROW_PYTHON")
	if python == "" {
		t.Skip("SPARROW_PYTHON is not set")
	}
	if err := exec.Command(python, "-c", "import tokenizers").Run(); err != nil {
		t.Skipf("%s has no package tokenizers", python)
	}
	texts := realTexts(t)
	var s data.Documents
	for _, name := range []string{"fmt/print.go", "net/http/server.go"} {
		s.Add([]byte(texts[name]), name, 0)
	}
	tokenizer, err := trainBPE(t.Context(), &s, 1500)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, tokenizer.Save(), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
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
			if !slices.Equal(got, want) {
				t.Errorf("%d ids here, %d ids by Hugging Face, or others", len(got), len(want))
			}
		})
	}
}
