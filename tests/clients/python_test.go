package clients

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python is the interpreter that SPARROW_PYTHON names, with openai, lm_eval, transformers and schemathesis; the tests skip without it.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SPARROW_PYTHON")
	if path == "" {
		t.Skip("SPARROW_PYTHON names no interpreter")
	}
	return path
}

// runPython runs it without a way to the network but this machine's.
func runPython(t *testing.T, name string, args ...string) string {
	t.Helper()
	return runPythonIn(t, "", name, args...)
}

// runPythonIn is runPython in a folder, "": that of these tests, of a tool that leaves files where it runs.
func runPythonIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "OPENAI_API_KEY=a-key", "HF_HUB_OFFLINE=1", "HF_DATASETS_OFFLINE=1", "HF_HOME="+t.TempDir(), "TOKENIZERS_PARALLELISM=false", "NO_PROXY=127.0.0.1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out[max(0, len(out)-6000):])
	}
	return string(out)
}

// TestOpenAIPython: OpenAI's Python package.
func TestOpenAIPython(t *testing.T) {
	if got := runPython(t, python(t), filepath.Join("python", "ask.py"), served(t)); !strings.HasSuffix(strings.TrimSpace(got), "ok") {
		t.Error(got)
	}
}

// TestHarness: lm-evaluation-harness measures the writer on a task of our own, with prompts as text and as token ids, and both find the
// same log-likelihoods.
func TestHarness(t *testing.T) {
	interpreter, url := python(t), served(t)
	source, task := writer(t), t.TempDir()
	text, err := os.ReadFile(filepath.Join("python", "task", "continuations.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := filepath.Abs(filepath.Join("python", "lines.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, task, "continuations.yaml", string(bytes.ReplaceAll(text, []byte("LINES"), []byte(lines))))
	var found [][]float64
	for _, ids := range []string{"False", "True"} {
		out := t.TempDir()
		runPython(t, interpreter, "-m", "lm_eval", "run", "--model", "local-completions", "--tasks", "continuations", "--include_path", task, "--output_path", out, "--log_samples", "--batch_size", "2",
			"--model_args", "model=writer,base_url="+url+"/v1/completions,tokenizer_backend=huggingface,tokenizer="+source+",tokenized_requests="+ids+",num_concurrent=2,max_retries=1")
		files, err := filepath.Glob(filepath.Join(out, "*", "samples_continuations_*.jsonl"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		var all []float64
		for line := range bytes.Lines(text) {
			var x struct {
				Responses [][][]any `json:"resps"`
			}
			if err := json.Unmarshal(line, &x); err != nil {
				t.Fatal(err)
			}
			for _, r := range x.Responses {
				switch p := r[0][0].(type) {
				case float64:
					all = append(all, p)
				case string:
					var number float64
					if err := json.Unmarshal([]byte(p), &number); err != nil {
						t.Fatal(err)
					}
					all = append(all, number)
				}
			}
		}
		found = append(found, all)
	}
	if len(found[0]) != 12 || len(found[1]) != 12 {
		t.Fatalf("%v", found)
	}
	for i, x := range found[0] {
		if x != found[1][i] || !(x < 0) {
			t.Errorf("continuation %d: %g by text, %g by ids", i, x, found[1][i])
		}
	}
}

// TestSchemathesis: requests that the OpenAPI description allows, and others, are answered by no 5xx.
func TestSchemathesis(t *testing.T) {
	interpreter := python(t)
	url := served(t)
	tool, err := filepath.Abs(filepath.Join(filepath.Dir(interpreter), "schemathesis"))
	if err != nil {
		t.Fatal(err)
	}
	runPythonIn(t, t.TempDir(), tool, "run", url+"/openapi.json", "--header", "Authorization: Bearer a-key", "--checks", "not_a_server_error",
		"--max-examples", "30", "--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--generation-deterministic", "--seed", "1", "--workers", "2")
}
