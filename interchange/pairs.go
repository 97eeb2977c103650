package interchange

import (
	"encoding/json"
	"slices"
	"strings"

	"sparrow/model"
)

// Activations by which a cross-encoder of sentence-transformers turns its one output into a score.
const (
	sigmoidScore  = "torch.nn.modules.activation.Sigmoid"
	identityScore = "torch.nn.modules.linear.Identity"
)

// readPairs finds out whether the texts of a classifier come in pairs: a cross-encoder of sentence-transformers says so, classes of
// inference do by their names, and else nothing in a config does, but a person may.
func (m *Model) readPairs(r *report) {
	c := m.source.config
	activation := c.text("sbert_ce_default_activation_function")
	if own, ok := c.get("sentence_transformers").(map[string]any); ok {
		m.Pairs = true
		if name, ok := own["activation_fn"].(string); ok {
			activation = name
		}
	}
	infers := func(name string) bool { return strings.EqualFold(name, "entailment") }
	m.Pairs = m.Pairs || activation != "" || m.source.pairs || slices.ContainsFunc(m.Labels, infers)
	switch activation {
	case "", identityScore:
	case sigmoidScore:
		if m.Dims.Regression { // classes have the softmax of their outputs in any case
			m.Sigmoid = true
		}
	default:
		r.add("config: activation_fn = %s is not supported; want %s or %s", cut(activation), sigmoidScore, identityScore)
	}
	if m.Pairs {
		m.note("texts come in pairs, with a tab between the two")
	}
}

// labelFile is labels.json, what the outputs of a classifier stand for.
type labelFile struct {
	Labels     []string `json:"labels"`
	Pairs      bool     `json:"pairs"`
	Regression bool     `json:"regression"`
	Sigmoid    bool     `json:"sigmoid,omitempty"`
}

// pairs tells whether an outgoing classifier reads two texts and tells them apart.
func (m *Model) pairs() bool {
	var l labelFile
	body, typed := m.Network.Of.(model.Typed)
	return typed && body.Types() > 1 && m.Dims.Outputs() > 0 && json.Unmarshal(m.Files["labels.json"], &l) == nil && l.Pairs
}

// writePairs is the inverse of readPairs.
func (m *Model) writePairs(c map[string]any) {
	var l labelFile
	if json.Unmarshal(m.Files["labels.json"], &l) != nil || !l.Pairs || !m.Dims.Regression {
		return
	}
	activation := identityScore
	if l.Sigmoid {
		activation = sigmoidScore
	}
	c["sentence_transformers"] = map[string]any{"activation_fn": activation}
}
