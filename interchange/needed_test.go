package interchange

import (
	"slices"
	"strings"
	"testing"
)

// TestNeeded: of each layout the files that are read, and no others.
func TestNeeded(t *testing.T) {
	for _, c := range []struct {
		name, all, want, weights, fails string
	}{
		{"safer form", "README.md config.json model.safetensors onnx/model.onnx pytorch_model.bin tf_model.h5 tokenizer.json vocab.txt",
			"config.json model.safetensors tokenizer.json vocab.txt", "", ""},
		{"sentence encoder", "1_Pooling/config.json config.json model.safetensors modules.json onnx/config.json openvino/config.json sentence_bert_config.json",
			"1_Pooling/config.json config.json model.safetensors modules.json sentence_bert_config.json", "", ""},
		{"shards", "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json original/x.pth pytorch_model-00001-of-00001.bin",
			"config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json", "", ""},
		{"pickle", "config.json pytorch_model.bin rust_model.ot", "config.json pytorch_model.bin", "", ""},
		{"pickles", "config.json pytorch_model-00001-of-00001.bin pytorch_model.bin.index.json", "config.json pytorch_model-00001-of-00001.bin pytorch_model.bin.index.json", "", ""},
		{"one gguf", "README.md config.json m.Q4.gguf", "m.Q4.gguf", "m.Q4.gguf", ""},
		{"several ggufs", "m.Q4.gguf m.Q8.gguf", "", "", "m.Q8.gguf"},
		{"nothing", "README.md model.onnx", "", "", "holds no model"},
	} {
		need, weights, err := Needed(strings.Fields(c.all))
		slices.Sort(need)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if got := strings.Join(need, " "); err != nil || got != c.want || weights != c.weights {
			t.Errorf("%s: %q, %q, %v; want %q, %q", c.name, got, weights, err, c.want, c.weights)
		}
	}
}
