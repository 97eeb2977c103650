package interchange_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/checkpoints/safetensors"
	"sparrow/configs"
	"sparrow/interchange"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/saved"
)

// fewBytes are rules of every kind and storage for the layers of a model of testdata, of width 16.
func fewBytes(name string) (rules []nn.Rule) {
	layers := []string{"*.q_proj", "*.k_proj", "*.v_proj", "*.o_proj", "*.fc1", "*.fc2"}
	switch {
	case strings.HasPrefix(name, "bert"):
		layers = []string{"*.query", "*.key", "*.value", "*.attention.output.dense", "*.intermediate.dense", "*[0-9].output.dense"}
	case strings.HasPrefix(name, "vit"):
		layers = []string{"*.q_proj", "*.k_proj", "*.v_proj", "*.o_proj", "*.intermediate.dense", "*[0-9].output.dense"}
	case strings.HasPrefix(name, "llama"):
		layers = []string{"*.q_proj", "*.k_proj", "*.v_proj", "*.o_proj", "*.up_proj", "*.down_proj", "*.gate_proj"}
	}
	for i, k := range []nn.Rule{
		{OneOf: nn.As(nn.LowRank{Rank: 4})},
		{OneOf: nn.As(nn.LowRank{Rank: 3}), Storage: nn.Storage{Quantize: "int8", QuantBlock: 16}},
		{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int4"}},
		{OneOf: nn.As(nn.SLTrain{Rank: 2, Alpha: 3, Density: 0.1, UpInit: "uniform"})},
		{OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 6, Nonzeros: []int{2}, Shared: true})},
		{OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 5, Nonzeros: []int{1, 3}, Axis: "out"}), Storage: nn.Storage{Quantize: "int8"}},
		{OneOf: nn.As(nn.LoRA{Rank: 2, Alpha: 1, UpInit: "uniform", Keep: "int4"})},
	} {
		if i < len(layers) {
			k.Match = layers[i]
			rules = append(rules, k)
		}
	}
	return rules
}

// TestFactoredLoader: the loader of docs/factored.md makes of every kind of layer, of every family's names, what this project
// computes with it.
func TestFactoredLoader(t *testing.T) {
	python := interpreter(t, "torch", "transformers", "safetensors", "numpy")
	page, err := os.ReadFile("../docs/factored.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(page), "```python\n")
	code, _, ok := strings.Cut(code, "```")
	if lines := strings.Count(code, "\n"); !ok || lines < 40 || lines > 60 {
		t.Fatalf("the loader has %d lines", lines)
	}
	temp := t.TempDir()
	if err := os.WriteFile(filepath.Join(temp, "loader.py"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	var pairs strings.Builder
	for _, name := range []string{"bert-classifier", "bert-masked", "gpt2", "llama", "vit"} {
		dir := filepath.Join("testdata", "models", name)
		source, out := filepath.Join(temp, name), filepath.Join(temp, name+"-out")
		exportFactored(t, dir, source, out)
		fmt.Fprintln(&pairs, source, out)
	}
	list := filepath.Join(temp, "pairs.txt")
	if err := os.WriteFile(list, []byte(pairs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, off := range differences(t, python, "factored", list, "PYTHONPATH="+temp) {
		if !(off <= 1e-5) {
			t.Errorf("%s differs by %g", name, off)
		}
		t.Logf("%s: %.2g", name, off)
	}
}

// factored is a model of testdata whose layers are of few bytes, at random.
func factored(t *testing.T, dir string) (*interchange.Model, *model.Session) {
	t.Helper()
	m, _ := imported(t, dir)
	m.Network.Linear = fewBytes(filepath.Base(dir))
	s, err := m.Network.NewSession(m.Dims, nn.NewStore(tensor.Float32), model.Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Store().Names() { // as if they had been stored
		if q := s.Store().Quantization(name); q.Bits > 0 {
			if err := q.Round(s.Store().Get(name).Float32s()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m, s
}

// exportFactored makes a model of layers of few bytes, exports it to out, and writes to source/golden.json what it computes.
func exportFactored(t *testing.T, dir, source, out string) {
	t.Helper()
	m, s := factored(t, dir)
	layers := interchange.FactoredLayers(s.Store(), saved.Arrays(s.Store()))
	if want := 2 * len(m.Network.Linear); len(layers) != want {
		t.Fatalf("%s: %d layers have few bytes, want %d", dir, len(layers), want)
	}
	c := outgoing(m, s.Store().Dense())
	c.Network.Linear, c.Factored = nil, layers
	if err := interchange.Export(c, "hf", out, ""); err != nil {
		t.Fatal(err)
	}
	writeGolden(t, m, s, dir, source)
}

// writeGolden writes what a session computes of a model of testdata as golden.json of a new folder.
func writeGolden(t *testing.T, m *interchange.Model, s *model.Session, dir, source string) {
	t.Helper()
	want := readGolden(t, dir)
	if want.Output == "images" {
		p, err := s.Program(model.Score, model.Shape{Rows: 2, Height: m.Dims.ImageSize, Width: m.Dims.ImageSize})
		if err != nil {
			t.Fatal(err)
		}
		x := pixels(t, dir, m)
		p.Floats("pixels").Set(x)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		want.Values, want.Pixels = p.Output("logits").Float64s(), x
	} else {
		want.Values = outputs(t, s, m, want.Rows, want.Types, len(want.Rows[0]))
	}
	text, err := json.Marshal(want)
	if err == nil {
		err = os.Mkdir(source, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(source, "golden.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFactoredWrites: a factored layer is its arrays and nothing else, and takes fewer bytes; a kind from outside is refused.
func TestFactoredWrites(t *testing.T) {
	temp := t.TempDir()
	out := filepath.Join(temp, "out")
	exportFactored(t, "testdata/models/gpt2", filepath.Join(temp, "source"), out)
	f, err := safetensors.Open(filepath.Join(out, "factored.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names := map[string]string{}
	for _, x := range f.Tensors() {
		names[x.Name] = x.Type.Name
	}
	for name, want := range map[string]string{
		"transformer.h.0.attn.c_attn.0.down.weight": "F32", "transformer.h.0.attn.c_attn.1.up.weight.codes": "U8", "transformer.h.0.attn.c_attn.1.up.weight.absmax": "F32",
		"transformer.h.1.attn.c_proj.sparse.indices": "I32", "transformer.h.1.mlp.c_fc.sparse.indices": "U8", "transformer.h.0.attn.c_attn.weight": "", "transformer.h.0.attn.c_attn.bias": "F32",
	} {
		if got := names[name]; got != want {
			t.Errorf("%s has type %q, want %q", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err == nil {
		t.Error("there is a model.safetensors, which transformers would take for the whole model")
	}
	m, store := imported(t, "testdata/models/gpt2")
	c := outgoing(m, store)
	c.Factored = map[string]interchange.Factored{strings.TrimSuffix(store.Layers()[0], ".weight"): {Layer: nn.Layer{In: 16, Out: 16, Rule: nn.Rule{OneOf: configs.OneOf[nn.Kind]{Name: "odd", Of: odd{}}}}}}
	if err := interchange.Export(c, "hf", filepath.Join(temp, "odd"), ""); err == nil || !strings.Contains(err.Error(), `layers of kind "odd" have no form`) {
		t.Errorf("a kind from outside: %v", err)
	}
}

// odd is a kind that this package does not know.
type odd struct{ nn.Dense }
