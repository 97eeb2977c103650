package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCrossEncoder: a cross-encoder gives pairs of texts the scores that sentence-transformers gives them, with either activation,
// token types and cuts included; it is measured on a table, and goes out as it came.
func TestCrossEncoder(t *testing.T) {
	bin := needBinaries(t)
	var golden struct {
		Pairs             [][2]string
		Post              any `json:"post_processor"`
		Sigmoid, Identity []float64
	}
	readJSON(t, filepath.Join(root, "interchange", "testdata", "cross.json"), &golden)
	for name, want := range map[string][]float64{"activation.Sigmoid": golden.Sigmoid, "linear.Identity": golden.Identity} {
		dir := t.TempDir()
		theirs := filepath.Join(root, "interchange", "testdata", "models", "bert-regression")
		for file, more := range map[string]map[string]any{
			"config.json":    {"sentence_transformers": map[string]string{"activation_fn": "torch.nn.modules." + name, "version": "5.2.0"}},
			"tokenizer.json": {"post_processor": golden.Post},
		} {
			var content map[string]any
			readJSON(t, filepath.Join(theirs, file), &content)
			maps.Copy(content, more)
			text, err := json.Marshal(content)
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, filepath.Join(dir, "theirs", file), text)
		}
		weights, err := os.ReadFile(filepath.Join(theirs, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, filepath.Join(dir, "theirs", "model.safetensors"), weights)
		var lines, table strings.Builder
		table.WriteString("a\tb\tscore\n")
		for i, p := range golden.Pairs {
			fmt.Fprintf(&lines, "%s\t%s\n", p[0], p[1])
			fmt.Fprintf(&table, "%s\t%s\t%g\n", p[0], p[1], want[i])
		}
		mustWrite(t, filepath.Join(dir, "pairs.tsv"), []byte(table.String()))
		run := func(input string, args ...string) []byte {
			t.Helper()
			c := exec.Command(filepath.Join(bin, "model"), args...)
			c.Dir, c.Stdin = dir, strings.NewReader(input)
			var problems bytes.Buffer
			c.Stderr = &problems
			out, err := c.Output()
			if err != nil {
				t.Fatalf("model %v: %v\n%s", args, err, &problems)
			}
			return out
		}
		check := func(checkpoint string) {
			t.Helper()
			d := json.NewDecoder(bytes.NewReader(run(lines.String(), "predict", checkpoint, "--json")))
			for i := range want {
				var answer struct{ Score *float64 }
				if err := d.Decode(&answer); err != nil || answer.Score == nil {
					t.Fatalf("%s: pair %d: %v", name, i, err)
				}
				if math.Abs(*answer.Score-want[i]) > 1e-5 {
					t.Errorf("%s: pair %d has score %.7f, want %.7f", name, i, *answer.Score, want[i])
				}
			}
		}
		run("", "import", "theirs", "-o", "ours")
		check("ours")
		var score map[string]any
		out := run("", "eval", "ours", "--file", "pairs.tsv", "--json", "--set", `data.text_columns=["a","b"]`, "--set", "data.label_column=score")
		if err := json.Unmarshal(out, &score); err != nil {
			t.Fatal(err)
		}
		if loss, _ := score["loss"].(float64); loss > 1e-9 || score["pearson"].(float64) < 0.9999 {
			t.Errorf("%s: measured on its own scores: %s", name, out)
		}
		run("", "export", "ours", "--format", "hf", "-o", "out")
		run("", "import", "out", "-o", "again")
		check("again")
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func mustWrite(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
