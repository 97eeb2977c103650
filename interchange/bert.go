package interchange

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/recipe"
)

// bert is BERT: as a sentence encoder, a sequence classifier or a masked language model. Its names are those of this project's
// encoder.
type bert struct{}

func (bert) types() []string { return []string{"bert"} }
func (bert) prefix() string  { return "bert." }

func (bert) read(s *Source, m *Model, r *report) {
	c := s.config
	n := readEncoder(c, m, r)
	n.DModel = c.count(r, "hidden_size", 0, 1, maxWidth)
	n.NLayer = c.count(r, "num_hidden_layers", 0, 1, model.MaxLayers)
	n.DFF = c.count(r, "intermediate_size", 0, 1, maxWidth)
	n.NormEps = c.number(r, "layer_norm_eps", 1e-12)
	n.Attention.NHead = c.count(r, "num_attention_heads", 0, 1, maxWidth)
	n.MLP = activation(c, r, "hidden_act", "gelu")
	n.Dropout = c.number(r, "hidden_dropout_prob", n.Dropout)
	if types := c.count(r, "type_vocab_size", 2, 0, 1024); types != 2 {
		n.TokenTypes = &types
	}
	n.Context = c.count(r, "max_position_embeddings", 512, 1, maxContext)
	c.only(r, "position_embedding_type", "absolute")
	c.only(r, "is_decoder", "false")
	c.only(r, "add_cross_attention", "false")
	c.unread(r, "config", harmless...)
	m.encoder(n, r)
}

// readEncoder begins the network of an encoder.
func readEncoder(c fields, m *Model, r *report) encoder.Config {
	n := encoder.Default()
	n.InitStd = c.number(r, "initializer_range", 0.02)
	c.only(r, "tie_word_embeddings", "true")
	m.Dims.VocabSize = c.count(r, "vocab_size", 0, 1, maxVocab)
	return n
}

// encoder ends the network of an encoder: by its head.
func (m *Model) encoder(n encoder.Config, r *report) {
	m.Dims.Context = n.Context
	switch m.architecture(r, "Model", "ForSequenceClassification", "ForMaskedLM", "ForPreTraining") {
	case "ForSequenceClassification":
		m.readLabels(r)
	case "ForMaskedLM", "ForPreTraining":
	default:
		n.Sentence = m.readSentence(r)
	}
	m.Network = recipe.ModelOf(n)
}

// sentenceOf is how a network makes a vector of a text; nil: it does not.
func sentenceOf(n recipe.Model) *encoder.Sentence {
	body, _ := n.Of.(encoder.Config)
	return body.Sentence
}

// readLabels reads the classes of a classifier; one class is a regression.
func (m *Model) readLabels(r *report) {
	c := m.source.config
	names, _ := c.get("id2label").(map[string]any)
	count := c.count(r, "num_labels", max(len(names), 2), 1, 1<<20)
	if len(names) > 0 {
		count = len(names)
	}
	c.only(r, "problem_type", "single_label_classification", "regression")
	if count == 1 {
		m.Dims.Regression = true
		m.readPairs(r)
		return
	}
	m.Dims.Classes = count
	for i := range count {
		name := fmt.Sprintf("LABEL_%d", i)
		if v, ok := names[strconv.Itoa(i)].(string); ok {
			name = v
		} else if len(names) > 0 {
			r.add("config: id2label has no name for class %d of %d", i, count)
		}
		if slices.Contains(m.Labels, name) {
			r.add("config: id2label has the name %s twice", cut(name))
		}
		m.Labels = append(m.Labels, name)
	}
	m.readPairs(r)
}

// readSentence reads the modules of sentence-transformers; a model without modules gives the mean of its states, as there.
func (m *Model) readSentence(r *report) *encoder.Sentence {
	out := &encoder.Sentence{Pooling: "mean"}
	modules, err := m.source.modules()
	if err != nil {
		r.add("%v", err)
		return out
	}
	for i, x := range modules {
		switch name := x.Type[strings.LastIndex(x.Type, ".")+1:]; {
		case i == 0 && name == "Transformer":
		case i > 0 && name == "Pooling":
			out.Pooling = m.pooling(x.Path, r)
		case i == len(modules)-1 && name == "Normalize":
			out.Normalize = true
		default:
			r.add("modules.json: module %d, %s, is not supported there; want Transformer, Pooling and Normalize in this order", i, cut(x.Type))
		}
	}
	if len(modules) == 0 {
		m.note("the model says nothing of pooling: embeddings are the mean of its states")
	}
	if text, ok := m.source.files["sentence_bert_config.json"]; ok {
		c, err := parseFields("sentence_bert_config.json", text)
		if err != nil {
			r.add("%v", err)
			return out
		}
		if n := c.count(r, "max_seq_length", m.Dims.Context, 1, maxContext); n < m.Dims.Context {
			out.MaxTokens = n
		}
		if c.flag(r, "do_lower_case", false) {
			r.add("sentence_bert_config.json: do_lower_case = true is not supported; the tokenizer says it where it matters")
		}
	}
	_, out.Pooler = m.find(origin{name: m.bodied("pooler.dense.weight")})
	return out
}

// poolings are the modes of the module Pooling that are supported, and this project's names.
var poolings = map[string]string{
	"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt",
}

// pooling reads the config of the module Pooling.
func (m *Model) pooling(path string, r *report) string {
	name := path + "/config.json"
	text, ok := m.source.files[name]
	if !ok {
		r.add("%s is missing, which modules.json names", cut(name))
		return "mean"
	}
	c, err := parseFields(name, text)
	if err != nil {
		r.add("%v", err)
		return "mean"
	}
	if mode := c.text("pooling_mode"); mode != "" { // the later spelling
		if !slices.Contains(encoder.Poolings, mode) {
			r.add("%s: pooling_mode = %s is not supported; want one of %s", name, cut(mode), strings.Join(encoder.Poolings, ", "))
		}
		return mode
	}
	var modes []string
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if !strings.HasPrefix(key, "pooling_mode_") || !c.flag(r, key, false) {
			continue
		}
		if own, ok := poolings[key]; ok {
			modes = append(modes, own)
		} else {
			r.add("%s: %s is not supported; want mean, cls or mean_sqrt_len tokens", name, cut(key))
		}
	}
	if len(modes) != 1 {
		r.add("%s has %d modes of pooling that are supported; want one", name, len(modes))
		return "mean"
	}
	return modes[0]
}

func (bert) origin(m *Model, name string) origin {
	o := origin{name: name}
	if body, ok := strings.CutPrefix(name, "bert."); ok {
		o.name = m.bodied(body)
	}
	if x, ok := strings.CutSuffix(o.name, "LayerNorm.weight"); ok {
		o.also = x + "LayerNorm.gamma"
	} else if x, ok := strings.CutSuffix(o.name, "LayerNorm.bias"); ok {
		o.also = x + "LayerNorm.beta"
	}
	return o
}

func (bert) idle(m *Model, name string) bool {
	switch name {
	case "embeddings.position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias",
		"cls.seq_relationship.weight", "cls.seq_relationship.bias":
		return true
	}
	// A masked language model needs no pooler.
	return strings.HasPrefix(name, "pooler.") && sentenceOf(m.Network) == nil && m.Dims.Outputs() == 0
}

func (bert) write(m *Model) (map[string]any, error) {
	n, ok := m.Network.Of.(encoder.Config)
	a := n.Attention
	own, _ := a.Projections()
	if !ok || !n.Bias || !own.Bias || a.HeadDim != 0 || n.Norm != "layer_norm" || n.Types() == 0 || n.Pooler != nil {
		return nil, errNetwork
	}
	c := map[string]any{
		"model_type": "bert", "hidden_size": n.DModel, "num_hidden_layers": n.NLayer, "num_attention_heads": a.NHead,
		"intermediate_size": n.HiddenWidth(), "hidden_act": theirs(n.MLP), "layer_norm_eps": n.NormEps, "initializer_range": n.InitStd,
		"hidden_dropout_prob": n.Dropout, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": m.Dims.Context,
		"type_vocab_size": n.Types(), "vocab_size": m.Dims.VocabSize, "pad_token_id": 0, "position_embedding_type": "absolute",
	}
	m.writeHead(c, "Bert")
	return c, nil
}

// writeHead adds the architecture and the labels.
func (m *Model) writeHead(c map[string]any, prefix string) {
	switch {
	case sentenceOf(m.Network) != nil:
		c["architectures"] = []string{prefix + "Model"}
	case m.Dims.Outputs() == 0:
		c["architectures"] = []string{prefix + "ForMaskedLM"}
	default:
		m.writeLabels(c, prefix+"ForSequenceClassification")
	}
}

// writeLabels adds the architecture of a classifier and its labels.
func (m *Model) writeLabels(c map[string]any, architecture string) {
	c["architectures"] = []string{architecture}
	ids, labels := map[string]string{}, map[string]int{}
	names := m.Labels
	if m.Dims.Regression {
		names, c["problem_type"] = []string{"LABEL_0"}, "regression"
	}
	for i, name := range names {
		ids[strconv.Itoa(i)], labels[name] = name, i
	}
	c["id2label"], c["label2id"] = ids, labels
	m.writePairs(c)
}

// sentenceFiles are those of sentence-transformers beside the config.
func (m *Model) sentenceFiles() map[string][]byte {
	s := sentenceOf(m.Network)
	if s == nil {
		return nil
	}
	text := func(v any) []byte {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			panic(err) // impossible: texts, numbers and flags
		}
		return append(b, '\n')
	}
	type entry struct {
		Index int    `json:"idx"`
		Name  string `json:"name"`
		Path  string `json:"path"`
		Type  string `json:"type"`
	}
	modules := []entry{{0, "0", "", "sentence_transformers.models.Transformer"}, {1, "1", "1_Pooling", "sentence_transformers.models.Pooling"}}
	if s.Normalize {
		modules = append(modules, entry{2, "2", "2_Normalize", "sentence_transformers.models.Normalize"})
	}
	body := m.Network.Of.(encoder.Config)
	pooling := map[string]any{"word_embedding_dimension": body.DModel, "pooling_mode_max_tokens": false}
	for key, own := range poolings {
		pooling[key] = own == s.Pooling
	}
	length := m.Dims.Context
	if s.MaxTokens > 0 {
		length = s.MaxTokens
	}
	return map[string][]byte{
		"modules.json": text(modules), "1_Pooling/config.json": text(pooling),
		"sentence_bert_config.json": text(map[string]any{"max_seq_length": length, "do_lower_case": false}),
	}
}
