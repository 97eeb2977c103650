package interchange

import (
	"fmt"
	"strings"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/recipe"
)

// llama is LLaMA and what was made after it: Mistral, SmolLM, Qwen 2 with biases on queries, keys and values, Qwen 3 with norms
// of their heads. Their names are those of this project's decoder.
type llama struct{}

func (llama) types() []string { return []string{"llama", "mistral", "qwen2", "qwen3"} }
func (llama) prefix() string  { return "model." }

// Limits of a config, beyond which its numbers are no sizes: they keep sums and products within an int.
const (
	maxWidth   = 1 << 20
	maxContext = 1 << 24
	maxVocab   = 1 << 24
)

func (llama) read(s *Source, m *Model, r *report) {
	c := s.config
	n := decoder.Default()
	n.DModel = c.count(r, "hidden_size", 0, 1, maxWidth)
	n.NLayer = c.count(r, "num_hidden_layers", 0, 1, model.MaxLayers)
	n.DFF = c.count(r, "intermediate_size", 0, 1, maxWidth)
	n.NormEps = c.number(r, "rms_norm_eps", 1e-6)
	n.InitStd = c.number(r, "initializer_range", n.InitStd)
	n.Tied = c.flag(r, "tie_word_embeddings", false)
	n.Bias = c.flag(r, "mlp_bias", false)
	c.only(r, "hidden_act", "silu", "swish")

	a := &n.Attention
	a.NHead = c.count(r, "num_attention_heads", 0, 1, maxWidth)
	groups := c.count(r, "num_key_value_heads", a.NHead, 1, maxWidth)
	if width := c.count(r, "head_dim", max(1, n.DModel/a.NHead), 1, maxWidth); width*a.NHead != n.DModel {
		a.HeadDim = width
	}
	biased := c.flag(r, "attention_bias", false)
	yes, no := true, false
	own := attention.Projections{Bias: biased}
	switch m.Family {
	case "qwen2":
		own.Bias, own.OutputBias = true, &no
	case "qwen3":
		own.QKNorm = &yes
	}
	a.OneOf = attention.As(attention.MHA{Projections: own})
	if groups != a.NHead {
		a.OneOf, a.NKVHead = attention.As(attention.GQA{Projections: own}), groups
	}
	readRope(c, r, a)
	m.Dims.VocabSize = c.count(r, "vocab_size", 0, 1, maxVocab)
	m.Dims.Context = c.count(r, "max_position_embeddings", 2048, 1, maxContext)
	m.window(c, r)
	n.Context = m.Dims.Context
	m.Network = recipe.ModelOf(n)
	c.only(r, "pretraining_tp", "1")
	c.unread(r, "config", harmless...)
	m.architecture(r, "ForCausalLM")
}

// readRope reads the rotary positions, of which there are two spellings.
func readRope(c fields, r *report, a *attention.Config) {
	scaling := c.table(r, "rope_parameters")
	old := c.table(r, "rope_scaling")
	if scaling.values == nil {
		scaling = old
	}
	a.Theta = c.number(r, "rope_theta", scaling.number(r, "rope_theta", 10000))
	c.only(r, "partial_rotary_factor", "1", "1.0")
	kind := scaling.text("rope_type")
	if kind == "" {
		kind = scaling.text("type")
	}
	scaling.get("type")
	switch kind {
	case "", "default":
	case "linear", "llama3":
		x := &attention.RopeScaling{Kind: kind, Factor: scaling.number(r, "factor", 1)}
		if kind == "llama3" {
			x.LowFreq, x.HighFreq = scaling.number(r, "low_freq_factor", 1), scaling.number(r, "high_freq_factor", 4)
			x.Original = scaling.count(r, "original_max_position_embeddings", 8192, 1, maxContext)
		}
		a.Scaling = x
	default:
		r.add("config: rope scaling %s is not supported; want linear or llama3", cut(kind))
		return
	}
	scaling.unread(r, "config: rope scaling", "original_max_position_embeddings", "partial_rotary_factor")
}

// window caps the context to a sliding window, below which attention sees all.
func (m *Model) window(c fields, r *report) {
	on := m.Family == "mistral" || c.flag(r, "use_sliding_window", false)
	w := c.count(r, "sliding_window", maxContext, 1, maxContext)
	c.get("use_sliding_window")
	if on && w < m.Dims.Context {
		m.note("context is %d tokens, the model's sliding window, in place of %d", w, m.Dims.Context)
		m.Dims.Context = w
	}
}

// architecture refuses a model with another head than the one that is read.
func (m *Model) architecture(r *report, ends ...string) string {
	all, _ := m.source.config.get("architectures").([]any)
	if len(all) == 0 {
		return ""
	}
	name := fmt.Sprint(all[0])
	for _, end := range ends {
		if strings.HasSuffix(name, end) {
			return end
		}
	}
	r.add("config: architecture %s is not supported; want one that ends in %s", cut(name), strings.Join(ends, " or "))
	return ""
}

// tied reports whether a decoder's output head is its token embedding.
func tied(n recipe.Model) bool {
	body, _ := n.Of.(decoder.Config)
	return body.Tied
}

func (llama) origin(_ *Model, name string) origin { return origin{name: name} }

func (llama) idle(m *Model, name string) bool {
	return strings.HasSuffix(name, ".rotary_emb.inv_freq") || name == "lm_head.weight" && tied(m.Network)
}

func (llama) write(m *Model) (map[string]any, error) {
	n, ok := m.Network.Of.(decoder.Config)
	a := n.Attention
	own, projected := a.Projections()
	if !ok || n.Norm != "rms_norm" || n.MLP != "swiglu" || n.Positions != "rotary" || !projected {
		return nil, errNetwork
	}
	c := map[string]any{
		"hidden_act": "silu", "hidden_size": n.DModel, "intermediate_size": n.HiddenWidth(), "num_hidden_layers": n.NLayer,
		"num_attention_heads": a.NHead, "num_key_value_heads": a.KVHeads(), "head_dim": a.Dim(n.DModel),
		"rms_norm_eps": n.NormEps, "initializer_range": n.InitStd, "tie_word_embeddings": n.Tied,
		"max_position_embeddings": m.Dims.Context, "vocab_size": m.Dims.VocabSize, "rope_theta": a.Theta,
	}
	if s := a.Scaling; s != nil {
		x := map[string]any{"rope_type": s.Kind, "factor": s.Factor}
		if s.Kind == "llama3" {
			x["low_freq_factor"], x["high_freq_factor"], x["original_max_position_embeddings"] = s.LowFreq, s.HighFreq, s.Original
		}
		c["rope_scaling"] = x
	}
	name, kind := "LlamaForCausalLM", "llama"
	switch {
	case own.NormedHeads():
		name, kind = "Qwen3ForCausalLM", "qwen3"
		c["attention_bias"] = own.Bias
		if n.Bias || own.Bias != own.BiasedOutput() {
			return nil, errNetwork
		}
	case own.Bias && !own.BiasedOutput():
		name, kind = "Qwen2ForCausalLM", "qwen2"
		if n.Bias || a.Dim(n.DModel)*a.NHead != n.DModel {
			return nil, errNetwork
		}
		delete(c, "head_dim")
	case own.Bias != own.BiasedOutput():
		return nil, errNetwork
	default:
		c["attention_bias"], c["mlp_bias"] = own.Bias, n.Bias
	}
	c["architectures"], c["model_type"] = []string{name}, kind
	return c, nil
}
