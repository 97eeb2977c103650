package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sparrow/data/tokenizers"
	"sparrow/serve/constrain"
)

// shape is what a message must be by the request's format or choice of tools; nil: any text.
func (m *served) shape(q ChatRequest, tools []Tool) (*constrain.Constraint, error) {
	choice, err := q.choice()
	if err != nil {
		return nil, err
	}
	format, err := m.format(q.ResponseFormat)
	if err != nil {
		return nil, err
	}
	if !choice.required {
		return format, nil
	}
	if format != nil {
		return nil, badRequest("response_format", "response_format beside tool_choice = %s is not supported", clip(string(q.ToolChoice)))
	}
	return m.call(tools, choice.name)
}

// format is the shape of a response_format.
func (m *served) format(given json.RawMessage) (*constrain.Constraint, error) {
	if len(given) == 0 || string(given) == "null" {
		return nil, nil
	}
	f, ok := as[struct {
		Type   string
		Schema *struct{ Schema json.RawMessage } `json:"json_schema"`
	}](given)
	switch {
	case ok && f.Type == "text":
		return nil, nil
	case ok && f.Type == "json_object":
		return m.constraint("response_format", constrain.Object)
	case ok && f.Type == "json_schema" && f.Schema != nil && len(f.Schema.Schema) > 0:
		return m.constraint("response_format", f.Schema.Schema)
	}
	return nil, badRequest("response_format", "response_format %s is not supported; want {\"type\": \"text\"}, json_object, or json_schema with json_schema.schema", clip(string(given)))
}

// maxShapes is how many schemas a model keeps with their masks: of requests that have the same one only the first waits for masks.
const maxShapes = 8

// shapes are the constraints of the last schemas that were asked for.
type shapes struct {
	mu    sync.Mutex
	known map[string]*constrain.Constraint
	order []string // the last one that was asked for at the end
}

// get is the constraint of a schema, which make makes if it is not known.
func (s *shapes) get(schema string, make func() (*constrain.Constraint, error)) (*constrain.Constraint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.known[schema]
	if c == nil {
		var err error
		if c, err = make(); err != nil {
			return nil, err
		}
		if s.known == nil {
			s.known = map[string]*constrain.Constraint{}
		}
		s.known[schema] = c
	}
	s.order = append(slices.DeleteFunc(s.order, func(x string) bool { return x == schema }), schema)
	if len(s.order) > maxShapes {
		delete(s.known, s.order[0])
		s.order = s.order[1:]
	}
	return c, nil
}

// constraint is that of a schema.
func (m *served) constraint(param string, schema []byte, between ...string) (*constrain.Constraint, error) {
	c, err := m.shapes.get(strings.Join(between, "\x00")+"\x00"+string(schema), func() (*constrain.Constraint, error) {
		c, err := constrain.Compile(m.vocabulary(), schema)
		if err == nil && len(between) == 2 {
			c = c.Between(between[0], between[1])
		}
		return c, err
	})
	if errors.Is(err, constrain.ErrSchema) {
		return nil, badRequest(param, "%s: %s", param, clip(err.Error()))
	}
	return c, err
}

// call is the shape of a call of one of some tools, or of the one of that name, in the form that the model's template has.
func (m *served) call(tools []Tool, name string) (*constrain.Constraint, error) {
	hermes := strings.Contains(m.template.Source(), hermesBegin)
	key := "parameters"
	if hermes {
		key = "arguments"
	}
	var calls []json.RawMessage
	for i, t := range tools {
		if name != "" && t.Function.Name != name {
			continue
		}
		schema := t.Function.Parameters
		if len(schema) == 0 || string(schema) == "null" {
			schema = []byte(`{"type": "object", "additionalProperties": false}`)
		}
		if strings.Contains(string(schema), `"$ref"`) {
			return nil, badRequest("tools", "tools[%d]: $ref in parameters is not supported where a call is required", i)
		}
		text, err := json.Marshal(t.Function.Name)
		if err != nil {
			return nil, err
		}
		calls = append(calls, json.RawMessage(fmt.Sprintf(`{"type": "object", "properties": {"name": {"const": %s}, %q: %s}, "required": ["name", %q], "additionalProperties": false}`, text, key, schema, key)))
	}
	text, err := json.Marshal(map[string]any{"anyOf": calls})
	if err != nil {
		return nil, badRequest("tools", "tools: %v", err)
	}
	if hermes {
		return m.constraint("tools", text, hermesBegin+"\n", "\n"+hermesEnd)
	}
	return m.constraint("tools", text)
}

// vocabulary is the model's tokens by their bytes, but for those that stand for no text.
func (m *served) vocabulary() *constrain.Vocabulary {
	m.words.once.Do(func() {
		t := m.writer.Tokenizer()
		texts := make([]string, t.VocabSize())
		for id := range texts {
			texts[id] = tokenText(t, id)
		}
		for _, id := range tokenizers.Markers(t) {
			texts[id] = ""
		}
		m.words.all = constrain.NewVocabulary(texts, m.writer.Ends())
	})
	return m.words.all
}
