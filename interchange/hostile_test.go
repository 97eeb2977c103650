package interchange_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/interchange"
)

// altered is a copy of a model whose config.json is changed.
func altered(t *testing.T, name string, change map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/models", name))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	for key, value := range change {
		config[key] = value
	}
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// problems is the error of a model that cannot be imported.
func problems(t *testing.T, path string) string {
	t.Helper()
	s, err := interchange.Open(path, interchange.Options{})
	if err == nil {
		defer s.Close()
		_, err = s.Model()
	}
	if err == nil {
		t.Fatalf("%s was accepted", path)
	}
	return err.Error()
}

// TestRefused: what a config asks for and cannot have, and sizes that no model has, are one error that lists all of it.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		model  string
		change map[string]any
		want   []string
	}{
		{"llama", map[string]any{"hidden_act": "gelu", "num_experts": 8, "rope_parameters": map[string]any{"rope_type": "yarn"}, "architectures": []string{"LlamaForTokenClassification"}}, []string{
			"hidden_act = gelu is not supported", "num_experts = 8 is not known", "rope scaling yarn is not supported", "architecture LlamaForTokenClassification is not supported"}},
		{"llama", map[string]any{"hidden_size": 20, "intermediate_size": 12}, []string{"model.embed_tokens.weight\" has shape [40 16]; want [40 20]", "gate_proj.weight\" has shape [24 16]; want [12 20]"}},
		{"llama", map[string]any{"num_hidden_layers": 3}, []string{"tensor model.layers.2.mlp.down_proj.weight is missing"}},
		{"llama", map[string]any{"num_hidden_layers": 1}, []string{"model.layers.1.mlp.down_proj.weight\" is superfluous"}},
		{"llama", map[string]any{"hidden_size": 1 << 62, "vocab_size": -1, "num_hidden_layers": 1e9, "num_attention_heads": 0}, []string{"hidden_size", "vocab_size", "num_hidden_layers", "num_attention_heads"}},
		{"llama", map[string]any{"vocab_size": 30}, []string{"the tokenizer has 40 tokens, the network 30"}},
		{"llama", map[string]any{"num_attention_heads": 3}, []string{"n_head"}},
		{"qwen2", map[string]any{"model_type": "mamba"}, []string{"model_type = \"mamba\" is not supported; want one of bert, "}},
		{"bert", map[string]any{"position_embedding_type": "relative_key", "hidden_act": "quick_gelu", "is_decoder": true}, []string{"position_embedding_type", "quick_gelu", "is_decoder"}},
		{"bert-classifier", map[string]any{"problem_type": "multi_label_classification"}, []string{"problem_type"}},
		{"vit", map[string]any{"image_size": 4096, "patch_size": 1}, []string{"position_embeddings\" has shape [1 5 16]; want [1 16777217 16]"}},
		{"vit", map[string]any{"image_size": 12}, []string{"position_embeddings\" has shape [1 5 16]; want [1 10 16]", "size = {\"height\":8,\"width\":8}, crop_size = null are not supported"}},
		{"vit", map[string]any{"num_channels": 2, "hidden_act": "quick_gelu", "architectures": []string{"ViTModel"}, "id2label": map[string]string{"0": "a"}}, []string{
			"num_channels = 2", "quick_gelu", "architecture ViTModel is not supported", "one label"}},
		{"gpt2", map[string]any{"scale_attn_by_inverse_layer_idx": true}, []string{"scale_attn_by_inverse_layer_idx"}},
	} {
		got := problems(t, altered(t, c.model, c.change))
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s with %v: %s\nwant %q", c.model, c.change, got, want)
			}
		}
	}
}

// TestPreprocessorRefused: what images would have to become and cannot is one error that lists all of it.
func TestPreprocessorRefused(t *testing.T) {
	for text, wants := range map[string][]string{
		`{"do_resize": false, "do_rescale": false, "resample": 0, "image_mean": [1], "image_std": [0, 1, 1]}`: {"do_resize", "do_rescale", "resample = 0", "image_mean and image_std"},
		`{"size": {"shortest_edge": 9}, "do_center_crop": true, "crop_size": 8}`:                              {"size = {\"shortest_edge\":9}"},
		`{"size": {"height": 8, "width": 9}}`:                                                                 {"want height and width 8"},
		`{"size": 8, "do_pad": true, "rescale_factor": 1}`:                                                    {"do_pad", "rescale_factor"},
		`{"size": 8, "image_mean": "x", "image_std": [1, "y", 1], "resample": 1e9}`:                           {"image_mean = x", "image_std = ", "resample"},
		`[]`: {"preprocessor_config.json"},
	} {
		dir := altered(t, "vit", nil)
		if err := os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := problems(t, dir)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s\nwant %q", text, got, want)
			}
		}
	}
}

// TestWindow: a sliding window caps the context, and one that is off does not.
func TestWindow(t *testing.T) {
	for _, c := range []struct {
		model  string
		change map[string]any
		want   int
	}{
		{"mistral", nil, 32}, {"mistral", map[string]any{"sliding_window": nil}, 64}, {"qwen2", map[string]any{"sliding_window": 8}, 64},
		{"qwen2", map[string]any{"sliding_window": 8, "use_sliding_window": true}, 8},
	} {
		m, _ := imported(t, altered(t, c.model, c.change))
		if m.Dims.Context != c.want {
			t.Errorf("%s with %v: context %d, want %d", c.model, c.change, m.Dims.Context, c.want)
		}
	}
}

// TestTemplates: a chat template comes along; one that cannot be rendered is left out, with its line.
func TestTemplates(t *testing.T) {
	dir := altered(t, "llama", nil)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("{% for m in messages %}{{ m['content'] }}{% endfor %}")
	if m, _ := imported(t, dir); m.Files["chat_template.jinja"] == nil || len(m.Notes) > 0 {
		t.Errorf("template %q, notes %q", m.Files["chat_template.jinja"], m.Notes)
	}
	write("a\n{% include 'other' %}")
	if m, _ := imported(t, dir); m.Files["chat_template.jinja"] != nil || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "line ") {
		t.Errorf("template %q, notes %q", m.Files["chat_template.jinja"], m.Notes)
	}
}

// TestArchives: a wheel is read as the folder in it; names that leave it and sizes that lie are errors, and nothing stays behind.
func TestArchives(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	pack := func(name string, files map[string][]byte) string {
		t.Helper()
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, content := range files {
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	model := map[string][]byte{}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		text, err := os.ReadFile(filepath.Join("testdata/models/llama", name))
		if err != nil {
			t.Fatal(err)
		}
		model["pkg/model/"+name] = text
	}
	m, store := imported(t, pack("model.whl", model))
	checkGolden(t, "testdata/models/llama", m, store)
	model["../model.safetensors"] = model["pkg/model/model.safetensors"]
	if got := problems(t, pack("two.zip", model)); !strings.Contains(got, "holds 2 models") {
		t.Error(got)
	}
	delete(model, "pkg/model/model.safetensors")
	if got := problems(t, pack("out.zip", map[string][]byte{"../model.safetensors": {1}, "../config.json": []byte("{}")})); got == "" {
		t.Error("a path outside was taken")
	}
	if got := problems(t, pack("none.zip", map[string][]byte{"a": {1}})); !strings.Contains(got, "holds no model") {
		t.Error(got)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("temporary folders are left: %v", left)
	}
}

// FuzzConfig: no config.json makes the import of a model panic or allocate what the file does not hold.
func FuzzConfig(f *testing.F) {
	for _, name := range []string{"llama-llama3", "bert-classifier", "gpt2", "roberta", "distilbert-masked", "qwen3"} {
		text, err := os.ReadFile(filepath.Join("testdata/models", name, "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	weights, err := os.ReadFile("testdata/models/llama/model.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	tokenizer, err := os.ReadFile("testdata/models/llama/tokenizer.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"config.json": config, "model.safetensors": weights, "tokenizer.json": tokenizer} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := interchange.Open(dir, interchange.Options{})
		if err != nil {
			return
		}
		defer s.Close()
		_, _ = s.Model()
	})
}
