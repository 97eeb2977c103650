package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sparrow/checkpoints/gguf"
)

// ggufFamilies are the architectures of llama.cpp whose names and config are translated, by model_type.
var ggufFamilies = []string{"llama", "qwen2", "qwen3", "gpt2"}

// ggufNames are what llama.cpp calls the tensors of an architecture.
type ggufNames struct {
	block  string                           // what stands before the number of a block, by the names of transformers
	parts  []struct{ theirs, other string } // of a block
	whole  map[string]string                // outside of blocks
	turned func(part string) (turned bool)  // whether transformers stores the matrix of a part the other way round, [in, out]
}

// ggufNamesOf are those of an architecture of ggufFamilies.
func ggufNamesOf(arch string) ggufNames {
	if arch == "gpt2" {
		return ggufNames{
			block: "transformer.h.",
			parts: []struct{ theirs, other string }{
				{"ln_1", "attn_norm"}, {"attn.c_attn", "attn_qkv"}, {"attn.c_proj", "attn_output"}, {"ln_2", "ffn_norm"}, {"mlp.c_fc", "ffn_up"}, {"mlp.c_proj", "ffn_down"},
			},
			whole: map[string]string{
				"token_embd.weight": "transformer.wte.weight", "position_embd.weight": "transformer.wpe.weight",
				"output_norm.weight": "transformer.ln_f.weight", "output_norm.bias": "transformer.ln_f.bias", "output.weight": "lm_head.weight",
			},
			turned: func(part string) bool { return strings.Contains(part, ".c_") },
		}
	}
	return ggufNames{
		block: "model.layers.",
		parts: []struct{ theirs, other string }{
			{"input_layernorm", "attn_norm"}, {"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"},
			{"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
			{"post_attention_layernorm", "ffn_norm"}, {"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"}, {"mlp.down_proj", "ffn_down"},
		},
		whole:  map[string]string{"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"},
		turned: func(string) bool { return false },
	}
}

// fromGGUF is a name as transformers has it; names that are not known stay.
func (g ggufNames) fromGGUF(name string) string {
	if whole, ok := g.whole[name]; ok {
		return whole
	}
	layer, rest, ok := strings.Cut(strings.TrimPrefix(name, "blk."), ".")
	part, kind, more := strings.Cut(rest, ".")
	if !strings.HasPrefix(name, "blk.") || !ok || !more {
		return name
	}
	for _, p := range g.parts {
		if p.other == part {
			return g.block + layer + "." + p.theirs + "." + kind
		}
	}
	return name
}

// toGGUF is its inverse.
func (g ggufNames) toGGUF(name string) string {
	for other, whole := range g.whole {
		if whole == name {
			return other
		}
	}
	layer, rest, ok := strings.Cut(strings.TrimPrefix(name, g.block), ".")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return name
	}
	for _, p := range g.parts {
		if p.theirs == rest[:dot] {
			return "blk." + layer + "." + p.other + rest[dot:]
		}
	}
	return name
}

// turns says whether a tensor of transformers' name is a matrix that transformers stores the other way round.
func (g ggufNames) turns(name string) bool {
	return strings.HasPrefix(name, g.block) && strings.HasSuffix(name, ".weight") && g.turned(name)
}

// openGGUF opens a file of llama.cpp and translates it into what transformers would have.
func openGGUF(path string) (*Source, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Source{Format: "gguf", Metadata: f.Metadata, views: map[string]view{}, files: map[string][]byte{}}
	s.closers = append(s.closers, f.Close)
	arch, _ := f.Metadata.Text("general.architecture")
	if !slices.Contains(ggufFamilies, arch) {
		s.config = newFields(map[string]any{"model_type": arch + " (GGUF)"})
		for _, t := range f.Tensors() {
			s.add(t.Name, view{Tensor: t})
		}
		return s, nil
	}
	s.config = newFields(s.ggufConfig(arch))
	heads, groups := int(number(s.config.values["num_attention_heads"])), int(number(s.config.values["num_key_value_heads"]))
	tied, names := true, ggufNamesOf(arch)
	for _, t := range f.Tensors() {
		if t.Name == ropeFreqs && arch == "llama" {
			s.readRopeFreqs(t)
			continue
		}
		name := names.fromGGUF(t.Name)
		v := view{Tensor: t}
		switch {
		case names.turns(name) && len(t.Shape) == 2:
			v.turned = true
			v.Shape = []int{t.Shape[1], t.Shape[0]}
		case arch != "llama": // llama.cpp turns halves there, as transformers does
		case strings.Contains(name, ".q_proj."):
			v.heads = heads
		case strings.Contains(name, ".k_proj."):
			v.heads = groups
		}
		if v.heads > 0 && (len(t.Shape) == 0 || t.Shape[0]%(2*v.heads) != 0) {
			s.refused = append(s.refused, fmt.Sprintf("tensor %s has shape %v; %d heads of even width don't fit", t.Name, t.Shape, v.heads))
			v.heads = 0
		}
		tied = tied && name != "lm_head.weight"
		s.add(name, v)
	}
	s.config.values["tie_word_embeddings"] = tied
	return s, s.ggufFiles()
}

func number(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// ggufConfig is the config.json that the metadata stands for.
func (s *Source) ggufConfig(arch string) map[string]any {
	md := s.Metadata
	c := map[string]any{"model_type": arch, "hidden_act": "silu"}
	keys := map[string]string{
		"block_count": "num_hidden_layers", "context_length": "max_position_embeddings", "embedding_length": "hidden_size",
		"feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads",
		"attention.head_count_kv": "num_key_value_heads", "attention.key_length": "head_dim", "vocab_size": "vocab_size",
	}
	if arch == "gpt2" {
		c = map[string]any{"model_type": arch, "activation_function": "gelu_new"}
		keys = map[string]string{
			"block_count": "n_layer", "context_length": "n_positions", "embedding_length": "n_embd", "feed_forward_length": "n_inner",
			"attention.head_count": "n_head", "vocab_size": "vocab_size",
		}
	}
	for key, name := range keys {
		switch n, ok := md.Int(arch + "." + key); {
		case ok:
			c[name] = n
		case md.Get(arch+"."+key) != nil:
			s.refused = append(s.refused, fmt.Sprintf("%s.%s is not one whole number", arch, key))
		}
	}
	if tokens, ok := md.Get("tokenizer.ggml.tokens").([]string); ok && c["vocab_size"] == nil {
		c["vocab_size"] = len(tokens)
	}
	if arch == "gpt2" {
		if x, ok := md.Float(arch + ".attention.layer_norm_epsilon"); ok {
			c["layer_norm_epsilon"] = shortest(x)
		}
		return c
	}
	if c["num_key_value_heads"] == nil {
		c["num_key_value_heads"] = c["num_attention_heads"]
	}
	for key, name := range map[string]string{"rope.freq_base": "rope_theta", "attention.layer_norm_rms_epsilon": "rms_norm_eps"} {
		if x, ok := md.Float(arch + "." + key); ok {
			c[name] = shortest(x)
		}
	}
	width := int(number(c["head_dim"]))
	if h := int(number(c["num_attention_heads"])); width == 0 && h > 0 {
		width = int(number(c["hidden_size"])) / h
	}
	if n, ok := md.Int(arch + ".rope.dimension_count"); ok && n != width {
		s.refused = append(s.refused, fmt.Sprintf("%s.rope.dimension_count = %d is not supported; want all %d of a head", arch, n, width))
	}
	if n, ok := md.Int(arch + ".expert_count"); ok && n > 0 {
		s.refused = append(s.refused, fmt.Sprintf("%s.expert_count = %d: mixtures of experts are not supported", arch, n))
	}
	if n, ok := md.Int(arch + ".attention.sliding_window"); ok && n > 0 {
		c["sliding_window"], c["use_sliding_window"] = n, true
	}
	switch kind, _ := md.Text(arch + ".rope.scaling.type"); kind {
	case "", "none":
	case "linear":
		factor, _ := md.Float(arch + ".rope.scaling.factor")
		c["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": factor}
	default:
		s.refused = append(s.refused, fmt.Sprintf("%s.rope.scaling.type = %s is not supported; want linear", arch, cut(kind)))
	}
	return c
}

// shortest is the number that a person wrote and a float32 holds: 1e-5, not 9.99999974e-6.
func shortest(x float64) float64 {
	var y float64
	if float64(float32(x)) != x {
		return x
	}
	if _, err := fmt.Sscan(fmt.Sprint(float32(x)), &y); err != nil {
		return x
	}
	return y
}

// ggufFiles makes the files that say how the model is used.
func (s *Source) ggufFiles() error {
	generation := map[string]any{}
	for key, name := range map[string]string{"bos_token_id": "bos_token_id", "eos_token_id": "eos_token_id", "padding_token_id": "pad_token_id"} {
		if id, ok := s.Metadata.Int("tokenizer.ggml." + key); ok {
			generation[name] = id
		}
	}
	if ends, ok := s.Metadata.Int("tokenizer.ggml.eot_token_id"); ok && generation["eos_token_id"] != nil && generation["eos_token_id"] != ends {
		generation["eos_token_id"] = []any{generation["eos_token_id"], ends}
	}
	text, err := json.MarshalIndent(generation, "", "  ")
	if err != nil {
		return err
	}
	s.files["generation_config.json"] = append(text, '\n')
	if s.files["tokenizer.json"], err = ggufTokenizer(s.Metadata); err != nil {
		s.refused = append(s.refused, "tokenizer: "+err.Error())
	}
	return nil
}

// errNoTokenizer says that a source has none.
var errNoTokenizer = errors.New("there is no tokenizer.json, vocab.txt, or vocab.json with merges.txt")
