package interchange

import (
	"encoding/json"
	"fmt"

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
	}
	if template := m.source.template(); template != "" {
		if _, err := chat.Parse(template); err != nil {
			m.note("warning: the chat template is left out: %v", err)
		} else {
			m.Files["chat_template.jinja"] = []byte(template)
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
