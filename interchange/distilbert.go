package interchange

import (
	"strings"

	"sparrow/model"
	"sparrow/model/encoder"
)

// distilbert is DistilBERT: BERT without token types, with a rectifier before its classifier, and with names of its own.
type distilbert struct{}

func (distilbert) types() []string { return []string{"distilbert"} }
func (distilbert) prefix() string  { return "distilbert." }

func (distilbert) read(s *Source, m *Model, r *report) {
	c := s.config
	n := readEncoder(c, m, r)
	n.DModel = c.count(r, "dim", 768, 1, maxWidth)
	n.NLayer = c.count(r, "n_layers", 6, 1, model.MaxLayers)
	n.DFF = c.count(r, "hidden_dim", 4*n.DModel, 1, maxWidth)
	n.Attention.NHead = c.count(r, "n_heads", 12, 1, maxWidth)
	n.MLP = activation(c, r, "activation", "gelu")
	n.Dropout = c.number(r, "dropout", n.Dropout)
	none, rectifier := 0, "relu"
	n.TokenTypes, n.Pooler = &none, &rectifier
	n.Context = c.count(r, "max_position_embeddings", 512, 1, maxContext)
	c.get("sinusoidal_pos_embds") // the table is stored
	c.unread(r, "config", harmless...)
	m.encoder(n, r)
}

// distilNames are the parts, by this project's names; those of layers follow the layer's number.
var distilNames = []struct{ own, other string }{
	{"cls.predictions.transform.dense.", "vocab_transform."}, {"cls.predictions.transform.LayerNorm.", "vocab_layer_norm."},
	{"cls.predictions.bias", "vocab_projector.bias"}, {"bert.pooler.dense.", "pre_classifier."}, {"classifier.", "classifier."},
}

var distilLayer = strings.NewReplacer(
	"encoder.layer.", "transformer.layer.", "attention.self.query", "attention.q_lin", "attention.self.key", "attention.k_lin",
	"attention.self.value", "attention.v_lin", "attention.output.dense", "attention.out_lin", "attention.output.LayerNorm", "sa_layer_norm",
	"intermediate.dense", "ffn.lin1", "output.dense", "ffn.lin2", "output.LayerNorm", "output_layer_norm",
)

func (distilbert) origin(m *Model, name string) origin {
	for _, h := range distilNames {
		if rest, ok := strings.CutPrefix(name, h.own); ok {
			return origin{name: h.other + rest}
		}
	}
	return origin{name: m.bodied(distilLayer.Replace(strings.TrimPrefix(name, "bert.")))}
}

func (distilbert) idle(m *Model, name string) bool {
	return name == "vocab_projector.weight"
}

func (distilbert) write(m *Model) (map[string]any, error) {
	n, ok := m.Network.Of.(encoder.Config)
	a := n.Attention
	own, _ := a.Projections()
	if !ok || !n.Bias || !own.Bias || a.HeadDim != 0 || n.Norm != "layer_norm" || n.NormEps != 1e-12 || n.Types() != 0 ||
		n.Pooler == nil || *n.Pooler != "relu" {
		return nil, errNetwork
	}
	c := map[string]any{
		"model_type": "distilbert", "dim": n.DModel, "n_layers": n.NLayer, "n_heads": a.NHead, "hidden_dim": n.HiddenWidth(),
		"activation": theirs(n.MLP), "dropout": n.Dropout, "attention_dropout": 0.0, "initializer_range": n.InitStd,
		"max_position_embeddings": m.Dims.Context, "vocab_size": m.Dims.VocabSize, "pad_token_id": 0, "sinusoidal_pos_embds": false,
	}
	m.writeHead(c, "DistilBert")
	return c, nil
}
