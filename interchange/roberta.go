package interchange

import (
	"strings"

	"sparrow/model"
)

// roberta is RoBERTa and XLM-R: BERT whose positions begin after two that stand for nothing, and whose heads have other names.
type roberta struct{}

func (roberta) types() []string { return []string{"roberta", "xlm-roberta"} }
func (roberta) prefix() string  { return "roberta." }

// robertaPadding is the id of the padding token, whose position is that number; texts begin after it.
const robertaPadding = 1

func (roberta) read(s *Source, m *Model, r *report) {
	c := s.config
	n := readEncoder(c, m, r)
	n.DModel = c.count(r, "hidden_size", 0, 1, maxWidth)
	n.NLayer = c.count(r, "num_hidden_layers", 0, 1, model.MaxLayers)
	n.DFF = c.count(r, "intermediate_size", 0, 1, maxWidth)
	n.NormEps = c.number(r, "layer_norm_eps", 1e-12)
	n.Attention.NHead = c.count(r, "num_attention_heads", 0, 1, maxWidth)
	n.MLP = activation(c, r, "hidden_act", "gelu")
	n.Dropout = c.number(r, "hidden_dropout_prob", n.Dropout)
	types := c.count(r, "type_vocab_size", 2, 1, 1024)
	n.TokenTypes = &types
	n.Context = c.count(r, "max_position_embeddings", 512, robertaPadding+2, maxContext) - robertaPadding - 1
	c.only(r, "pad_token_id", "1")
	c.only(r, "position_embedding_type", "absolute")
	c.only(r, "is_decoder", "false")
	c.only(r, "add_cross_attention", "false")
	c.unread(r, "config", harmless...)
	m.encoder(n, r)
}

// robertaHeads are the parts of the heads, by this project's names.
var robertaHeads = []struct{ own, other string }{
	{"cls.predictions.transform.dense.", "lm_head.dense."}, {"cls.predictions.transform.LayerNorm.", "lm_head.layer_norm."},
	{"cls.predictions.bias", "lm_head.bias"}, {"classifier.", "classifier.out_proj."},
}

func (roberta) origin(m *Model, name string) origin {
	for _, h := range robertaHeads {
		if rest, ok := strings.CutPrefix(name, h.own); ok {
			return origin{name: h.other + rest}
		}
	}
	body := strings.TrimPrefix(name, "bert.")
	if rest, ok := strings.CutPrefix(body, "pooler.dense."); ok && m.Dims.Outputs() > 0 {
		return origin{name: "classifier.dense." + rest}
	}
	o := origin{name: m.bodied(body)}
	if body == "embeddings.position_embeddings.weight" {
		o.skip = robertaPadding + 1
	}
	return o
}

func (roberta) idle(m *Model, name string) bool {
	switch name {
	case "embeddings.position_ids", "lm_head.decoder.weight", "lm_head.decoder.bias":
		return true
	}
	return strings.HasPrefix(name, "pooler.") && sentenceOf(m.Network) == nil
}

func (roberta) write(m *Model) (map[string]any, error) { return nil, errNetwork }
