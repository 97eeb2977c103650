package interchange

import (
	"fmt"
	"strings"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// gpt2 is GPT-2, whose matrices are stored transposed, and queries, keys and values in one.
type gpt2 struct{}

func (gpt2) types() []string { return []string{"gpt2"} }
func (gpt2) prefix() string  { return "transformer." }

func (gpt2) read(s *Source, m *Model, r *report) {
	c := s.config
	n := decoder.Default()
	n.Norm, n.Positions, n.Bias = "layer_norm", "learned", true
	n.Attention.OneOf = attention.As(attention.MHA{Projections: attention.Projections{Bias: true}})
	n.DModel = c.count(r, "n_embd", 768, 1, maxWidth)
	n.NLayer = c.count(r, "n_layer", 12, 1, model.MaxLayers)
	n.DFF = c.count(r, "n_inner", 4*n.DModel, 1, maxWidth)
	n.NormEps = c.number(r, "layer_norm_epsilon", 1e-5)
	n.InitStd = c.number(r, "initializer_range", n.InitStd)
	n.MLP = activation(c, r, "activation_function", "gelu_new")
	n.Tied = c.flag(r, "tie_word_embeddings", true)
	n.Attention.NHead = c.count(r, "n_head", 12, 1, maxWidth)
	m.Dims.VocabSize = c.count(r, "vocab_size", 50257, 1, maxVocab)
	m.Dims.Context = c.count(r, "n_positions", 1024, 1, maxContext)
	n.Context = m.Dims.Context
	m.Network = recipe.ModelOf(n)
	c.only(r, "scale_attn_weights", "true")
	c.only(r, "scale_attn_by_inverse_layer_idx", "false")
	c.only(r, "add_cross_attention", "false")
	c.get("reorder_and_upcast_attn") // of the same value
	c.unread(r, "config", harmless...)
	m.architecture(r, "LMHeadModel")
}

// gpt2Names are the parts of a block, by this project's names.
var gpt2Names = map[string]string{
	"input_layernorm": "ln_1", "post_attention_layernorm": "ln_2", "self_attn.o_proj": "attn.c_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
	"self_attn.q_proj": "attn.c_attn", "self_attn.k_proj": "attn.c_attn", "self_attn.v_proj": "attn.c_attn",
}

func (gpt2) origin(m *Model, name string) origin {
	body, ok := strings.CutPrefix(name, "model.")
	if !ok {
		return origin{name: name} // lm_head
	}
	for own, other := range map[string]string{"embed_tokens.": "wte.", "embed_positions.": "wpe.", "norm.": "ln_f."} {
		if rest, ok := strings.CutPrefix(body, own); ok {
			return origin{name: m.bodied(other + rest)}
		}
	}
	var layer int
	if _, err := fmt.Sscanf(body, "layers.%d.", &layer); err != nil {
		return origin{name: m.bodied(body)}
	}
	dot := strings.LastIndexByte(body, '.')
	part, kind := body[len(fmt.Sprintf("layers.%d.", layer)):dot], body[dot+1:]
	o := origin{name: m.bodied(fmt.Sprintf("h.%d.%s.%s", layer, gpt2Names[part], kind))}
	if gpt2Names[part] == "attn.c_attn" {
		o.part, o.of = strings.Index("qkv", strings.TrimPrefix(part, "self_attn.")[:1]), 3
	}
	o.transpose = kind == "weight" && !strings.Contains(part, "layernorm")
	return o
}

func (gpt2) idle(m *Model, name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") || name == "lm_head.weight" && tied(m.Network)
}

func (gpt2) write(m *Model) (map[string]any, error) {
	n, ok := m.Network.Of.(decoder.Config)
	a := n.Attention
	own, projected := a.Projections()
	if !ok || n.Norm != "layer_norm" || n.MLP == "swiglu" || n.Positions != "learned" || !n.Bias || !own.Bias || a.KVHeads() != a.NHead || !projected ||
		a.HeadDim != 0 || !own.BiasedOutput() || own.NormedHeads() {
		return nil, errNetwork
	}
	return map[string]any{
		"architectures": []string{"GPT2LMHeadModel"}, "model_type": "gpt2", "n_embd": n.DModel, "n_layer": n.NLayer, "n_head": a.NHead,
		"n_inner": n.HiddenWidth(), "n_positions": m.Dims.Context, "n_ctx": m.Dims.Context, "activation_function": theirs(n.MLP),
		"layer_norm_epsilon": n.NormEps, "initializer_range": n.InitStd, "tie_word_embeddings": n.Tied, "vocab_size": m.Dims.VocabSize,
	}, nil
}
