package interchange_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/safetensors"
	"sparrow/model"
)

// stored is a tensor of llm-viz's files.
type stored struct {
	Shape []int  `json:"shape"`
	Data  string `json:"data"` // float32, little-endian, base64
}

func (s stored) values(t *testing.T) []float32 {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(s.Data)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(raw)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return x
}

// readStored reads the tensors of a file; its config is left out.
func readStored(t *testing.T, path string) map[string]stored {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	tensors := map[string]stored{}
	for name, raw := range all {
		var s stored
		if err := json.Unmarshal(raw, &s); err == nil && s.Data != "" {
			tensors[name] = s
		}
	}
	return tensors
}

// TestNanoSort: a GPT-2 that sorts six digits, written as transformers has it, gives the activations that are stored with it, and
// sorts.
func TestNanoSort(t *testing.T) {
	dir := t.TempDir()
	var sources []foreign.Source
	for name, s := range readStored(t, real(t, "gpt-nano-sort/gpt-nano-sort-model.json")) {
		x, shape := s.values(t), s.Shape
		if strings.HasSuffix(name, ".weight") && (strings.Contains(name, ".c_")) { // stored [out, in] there
			out, in := shape[0], shape[1]
			turned := make([]float32, len(x))
			for i := range out {
				for j := range in {
					turned[j*out+i] = x[i*in+j]
				}
			}
			x, shape = turned, []int{in, out}
		}
		sources = append(sources, foreign.Source{Name: name, Shape: shape, Type: foreign.F32, Values: func() ([]float32, error) { return x, nil }})
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), sources, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"config.json":    `{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 3, "n_head": 3, "n_embd": 48, "vocab_size": 3, "n_positions": 11, "tie_word_embeddings": false}`,
		"tokenizer.json": `{"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel", "vocab": {"0": 0, "1": 1, "2": 2}, "unk_token": "0"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, store := imported(t, dir)
	session, err := m.Network.NewSession(m.Dims, store, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := readStored(t, real(t, "gpt-nano-sort/gpt-nano-sort-t0-partials.json"))
	sites := map[string]string{
		"ln1": "model.layers.0.input_layernorm", "yProj": "model.layers.0.self_attn", "mlp": "model.layers.0.mlp", "gelu": "model.layers.0.mlp.fc2.input",
		"block0": "model.layers.0.output", "block1": "model.layers.1.output", "block2": "model.layers.2.output", "lm_head": "logits",
		"y": "model.layers.0.self_attn.o_proj.input", "ln2": "model.layers.0.mlp.fc1.input", "ln_f": "lm_head.input",
	}
	var names []string
	for _, site := range sites {
		names = append(names, site)
	}
	p, err := session.Program(model.Score, model.Shape{Rows: 3, Length: 11}, names...)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []int
	for _, x := range want["idx"].values(t) {
		tokens = append(tokens, int(x))
	}
	p.Feed(map[string][]int{"tokens": tokens})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for name, site := range sites {
		x, got := want[name].values(t), p.Site(site).Float64s()
		for i := range x {
			if math.Abs(got[i]-float64(x[i])) > 1e-5 {
				t.Errorf("%s: value %d is %v, want %v", name, i, got[i], x[i])
				break
			}
		}
	}
	sorts(t, session)
}

// sorts lets the model write the digits of a list in order, one after the other.
func sorts(t *testing.T, s *model.Session) {
	t.Helper()
	for _, digits := range [][]int{{2, 0, 1, 1, 0, 2}, {0, 0, 2, 1, 0, 1}, {2, 2, 2, 0, 1, 0}} {
		ids := append([]int(nil), digits...)
		for range digits {
			p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(ids)}, "logits")
			if err != nil {
				t.Fatal(err)
			}
			p.Feed(map[string][]int{"tokens": ids})
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			best := 0
			for v := range 3 {
				if logits := p.Site("logits"); logits.At(len(ids)-1, v) > logits.At(len(ids)-1, best) {
					best = v
				}
			}
			ids = append(ids, best)
		}
		for i := 7; i < 12; i++ {
			if ids[i] < ids[i-1] {
				t.Errorf("%v is sorted as %v", digits, ids[6:])
				break
			}
		}
	}
}
