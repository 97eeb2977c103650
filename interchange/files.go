package interchange

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"sparrow/data/chat"
)

// keepFiles collects what a checkpoint keeps: how the model is used. Weights and config are the checkpoint's own.
func (m *Model) keepFiles(r *report) {
	for _, name := range []string{"generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "config_sentence_transformers.json"} {
		text, ok := m.source.files[name]
		if !ok {
			continue
		}
		if !json.Valid(text) {
			r.add("%s is not valid JSON", name)
		}
		m.Files[name] = text
		if name == "generation_config.json" {
			m.noteGeneration(text)
		}
	}
	if template := m.source.template(); template != "" {
		if _, err := chat.Parse(template); err != nil {
			m.note("warning: the chat template is left out: %v", err)
		} else {
			m.Files["chat_template.jinja"] = []byte(template)
		}
	}
}

// unapplied are keys of generation_config.json that would change what a model writes and that nothing here reads, with the value
// that changes nothing.
var unapplied = map[string]string{
	"num_beams": "1", "typical_p": "1", "penalty_alpha": "0", "epsilon_cutoff": "0", "eta_cutoff": "0", "no_repeat_ngram_size": "0",
	"encoder_repetition_penalty": "1", "bad_words_ids": "", "suppress_tokens": "", "begin_suppress_tokens": "", "forced_bos_token_id": "",
	"forced_eos_token_id": "", "min_length": "0", "min_new_tokens": "0", "exponential_decay_length_penalty": "", "sequence_bias": "",
	"guidance_scale": "1", "dola_layers": "", "top_h": "",
}

// noteGeneration says what of generation_config.json is not honoured.
func (m *Model) noteGeneration(text []byte) {
	f, err := parseFields("generation_config.json", text)
	if err != nil {
		m.note("warning: %v", err)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(unapplied)) {
		v := f.get(key)
		if n, ok := v.(json.Number); ok {
			if x, err := n.Float64(); err == nil && fmt.Sprint(x) == unapplied[key] {
				continue
			}
		}
		if says(v) {
			m.note("warning: generation_config.json: %s = %s is not applied when the model writes", key, cut(v))
		}
	}
}

// template is the chat template; "": none.
func (s *Source) template() string {
	if text, ok := s.files["chat_template.jinja"]; ok {
		return string(text)
	}
	if text, ok := s.Metadata.Text("tokenizer.chat_template"); ok {
		return text
	}
	c, err := parseFields("tokenizer_config.json", s.files["tokenizer_config.json"])
	if err != nil {
		return ""
	}
	switch v := c.get("chat_template").(type) {
	case string:
		return v
	case []any: // several by name
		for _, x := range v {
			if named, ok := x.(map[string]any); ok && fmt.Sprint(named["name"]) == "default" {
				text, _ := named["template"].(string)
				return text
			}
		}
	}
	return ""
}
