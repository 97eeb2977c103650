package clients

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tokens of the models here: a byte each, and three markers.
const (
	bytesOf = 256
	imStart = bytesOf + iota - 1
	imEnd
	endOfText
	vocabulary
)

// byteLetters are the characters by which byte-level BPE writes bytes (Radford et al. 2019).
func byteLetters() (letters [256]rune) {
	next := rune(256)
	for b := range 256 {
		switch {
		case b >= '!' && b <= '~', b >= 0xa1 && b <= 0xac, b >= 0xae && b <= 0xff:
			letters[b] = rune(b)
		default:
			letters[b] = next
			next++
		}
	}
	return letters
}

func write(t *testing.T, dir, name string, x any) {
	t.Helper()
	text, ok := x.(string)
	if !ok {
		raw, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeTokenizer writes the files of a byte-level tokenizer.
func writeTokenizer(t *testing.T, dir string) {
	vocab := map[string]int{}
	for b, letter := range byteLetters() {
		vocab[string(letter)] = b
	}
	var added []map[string]any
	for id, text := range map[int]string{imStart: "<|im_start|>", imEnd: "<|im_end|>", endOfText: "<|endoftext|>"} {
		added = append(added, map[string]any{"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
	}
	level := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true}
	write(t, dir, "tokenizer.json", map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil, "pre_tokenizer": level, "post_processor": nil, "decoder": level,
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []string{}},
	})
}

// writeTensors writes random values in the format of safetensors.
func writeTensors(t *testing.T, dir string, shapes map[string][]int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	header, at := map[string]any{}, 0
	var data []byte
	for _, name := range slices.Sorted(maps.Keys(shapes)) { // a map has another order each time, and with it other values
		n, shape := 1, shapes[name]
		for _, dim := range shape {
			n *= dim
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{at, at + 4*n}}
		for range n {
			x := 0.2 * r.NormFloat64()
			if strings.Contains(strings.ToLower(name), "norm.weight") {
				x++
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
		}
		at += 4 * n
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	write(t, dir, "model.safetensors", string(out)+string(text)+string(data))
}

// template is one in the manner of Qwen's: tools are shown as JSON and called between tags.
const template = `{% if tools %}<|im_start|>system
You may call functions: {% for tool in tools %}{{ tool | tojson }}
{% endfor %}Answer by <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

// chatTemplate is the one in the file that SPARROW_TEMPLATE names, such as Qwen3's own, or the one above.
func chatTemplate(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SPARROW_TEMPLATE")
	if path == "" {
		return template
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writer is a random model of Qwen3's shape in a folder of Hugging Face's kind.
func writer(t *testing.T) string {
	t.Helper()
	const d, heads, kv, width, ff, layers = 32, 4, 2, 8, 48, 2
	dir := t.TempDir()
	write(t, dir, "config.json", map[string]any{
		"architectures": []string{"Qwen3ForCausalLM"}, "model_type": "qwen3", "hidden_act": "silu", "hidden_size": d, "intermediate_size": ff, "num_hidden_layers": layers,
		"num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": width, "attention_bias": false, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
		"tie_word_embeddings": true, "vocab_size": vocabulary, "use_sliding_window": false, "sliding_window": nil, "bos_token_id": endOfText, "eos_token_id": imEnd,
	})
	write(t, dir, "generation_config.json", map[string]any{"eos_token_id": []int{imEnd, endOfText}})
	write(t, dir, "tokenizer_config.json", map[string]any{"eos_token": "<|im_end|>", "chat_template": chatTemplate(t)})
	writeTokenizer(t, dir)
	shapes := map[string][]int{"model.embed_tokens.weight": {vocabulary, d}, "model.norm.weight": {d}}
	for i := range layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		for name, shape := range map[string][]int{
			"input_layernorm.weight": {d}, "post_attention_layernorm.weight": {d}, "self_attn.q_norm.weight": {width}, "self_attn.k_norm.weight": {width},
			"self_attn.q_proj.weight": {heads * width, d}, "self_attn.k_proj.weight": {kv * width, d}, "self_attn.v_proj.weight": {kv * width, d}, "self_attn.o_proj.weight": {d, heads * width},
			"mlp.gate_proj.weight": {ff, d}, "mlp.up_proj.weight": {ff, d}, "mlp.down_proj.weight": {d, ff},
		} {
			shapes[p+name] = shape
		}
	}
	writeTensors(t, dir, shapes)
	return dir
}

// encoder is a random sentence encoder in a folder of sentence-transformers' kind.
func encoder(t *testing.T) string {
	t.Helper()
	const d, ff = 32, 48
	dir := t.TempDir()
	write(t, dir, "config.json", map[string]any{
		"architectures": []string{"BertModel"}, "model_type": "bert", "hidden_act": "gelu", "hidden_size": d, "intermediate_size": ff, "num_hidden_layers": 1, "num_attention_heads": 4,
		"max_position_embeddings": 128, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "vocab_size": 9, "pad_token_id": 0, "position_embedding_type": "absolute",
	})
	write(t, dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nman\nguitar\nsoup\n")
	write(t, dir, "tokenizer_config.json", map[string]any{"tokenizer_class": "BertTokenizer", "do_lower_case": true})
	write(t, dir, "modules.json", []map[string]any{
		{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
		{"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}})
	write(t, dir, "sentence_bert_config.json", map[string]any{"max_seq_length": 64, "do_lower_case": false})
	if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "1_Pooling/config.json", map[string]any{"word_embedding_dimension": d, "pooling_mode_mean_tokens": true})
	shapes := map[string][]int{
		"embeddings.word_embeddings.weight": {9, d}, "embeddings.position_embeddings.weight": {128, d}, "embeddings.token_type_embeddings.weight": {2, d},
		"embeddings.LayerNorm.weight": {d}, "embeddings.LayerNorm.bias": {d}, "pooler.dense.weight": {d, d}, "pooler.dense.bias": {d}}
	p := "encoder.layer.0."
	for name, shape := range map[string][]int{
		"attention.self.query": {d, d}, "attention.self.key": {d, d}, "attention.self.value": {d, d}, "attention.output.dense": {d, d}, "intermediate.dense": {ff, d}, "output.dense": {d, ff},
	} {
		shapes[p+name+".weight"], shapes[p+name+".bias"] = shape, shape[:1]
	}
	for _, name := range []string{"attention.output.LayerNorm", "output.LayerNorm"} {
		shapes[p+name+".weight"], shapes[p+name+".bias"] = []int{d}, []int{d}
	}
	writeTensors(t, dir, shapes)
	return dir
}
