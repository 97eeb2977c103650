package interchange

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sparrow/checkpoints/llama2c"
)

// llama2cParts are the parts of a layer, by the names of transformers.
var llama2cParts = map[string]string{
	"attention_norm": "input_layernorm", "attention.wq": "self_attn.q_proj", "attention.wk": "self_attn.k_proj", "attention.wv": "self_attn.v_proj",
	"attention.wo": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
	"feed_forward.w1": "mlp.gate_proj", "feed_forward.w2": "mlp.down_proj", "feed_forward.w3": "mlp.up_proj",
}

// openLlama2c opens a model of llama2.c, whose tokenizer lies in a file of its own.
func openLlama2c(path, tokenizer string) (*Source, error) {
	if base := filepath.Base(path); base == "pytorch_model.bin" {
		return nil, errors.New("weights alone do not say what they are: give the folder that also has config.json")
	}
	f, err := llama2c.Open(path)
	if err != nil {
		return nil, err
	}
	c := f.Config
	s := &Source{Format: "llama2c", views: map[string]view{}, files: map[string][]byte{}}
	s.closers = append(s.closers, f.Close)
	s.config = newFields(map[string]any{
		"model_type": "llama", "hidden_act": "silu", "hidden_size": c.DModel, "intermediate_size": c.DHidden, "num_hidden_layers": c.NLayer,
		"num_attention_heads": c.NHead, "num_key_value_heads": c.NKVHead, "vocab_size": c.VocabSize, "max_position_embeddings": c.SeqLen,
		"rms_norm_eps": 1e-5, "tie_word_embeddings": c.Tied,
	})
	for _, t := range f.Tensors() {
		v := view{Tensor: t}
		name := t.Name
		switch layer, part, ok := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(name, ".weight"), "layers."), "."); {
		case name == "tok_embeddings.weight":
			name = "model.embed_tokens.weight"
		case name == "norm.weight":
			name = "model.norm.weight"
		case name == "output.weight":
			name = "lm_head.weight"
		case ok && llama2cParts[part] != "":
			name = fmt.Sprintf("model.layers.%s.%s.weight", layer, llama2cParts[part])
			switch part {
			case "attention.wq":
				v.heads = c.NHead
			case "attention.wk":
				v.heads = c.NKVHead
			}
		}
		if v.heads > 0 && t.Shape[0]%(2*v.heads) != 0 {
			s.refused = append(s.refused, fmt.Sprintf("tensor %s has shape %v; %d heads of even width don't fit", t.Name, t.Shape, v.heads))
			v.heads = 0
		}
		s.add(name, v)
	}
	s.files["generation_config.json"] = []byte("{\n  \"bos_token_id\": 1,\n  \"eos_token_id\": [1, 2]\n}\n") // llama2.c ends a text at either
	if tokenizer == "" {
		return s, nil
	}
	all, err := llama2c.OpenTokenizer(tokenizer)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.files["tokenizer.json"], err = llama2cTokenizer(all); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %w", tokenizer, err), s.Close())
	}
	return s, nil
}
