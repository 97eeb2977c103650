package serve

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// tools are those that the model may call; nil: none.
func (q ChatRequest) tools() ([]Tool, error) {
	for i, tool := range q.Tools {
		switch {
		case tool.Type != "function":
			return nil, badRequest("tools", "tools[%d] is of type %q; want function", i, clip(tool.Type))
		case tool.Function.Name == "":
			return nil, badRequest("tools", "tools[%d] has no function.name", i)
		}
	}
	choice, err := q.choice()
	if err != nil || choice.none {
		return nil, err
	}
	if choice.required && len(q.Tools) == 0 {
		return nil, badRequest("tool_choice", "tool_choice = %s wants tools", clip(string(q.ToolChoice)))
	}
	if choice.name != "" && !slices.ContainsFunc(q.Tools, func(t Tool) bool { return t.Function.Name == choice.name }) {
		return nil, badRequest("tool_choice", "tool_choice names %q, which is none of the tools", clip(choice.name))
	}
	return q.Tools, nil
}

// toolChoice is what tool_choice says.
type toolChoice struct {
	none     bool
	required bool   // some call must come
	name     string // of the function that must be called; "": any
}

func (q ChatRequest) choice() (c toolChoice, err error) {
	if word, ok := as[string](q.ToolChoice); ok {
		switch word {
		case "auto":
		case "none":
			c.none = true
		case "required":
			c.required = true
		default:
			return c, badRequest("tool_choice", "tool_choice = %q; want none, auto, required or a function", clip(word))
		}
		return c, nil
	}
	if text := string(q.ToolChoice); text == "" || text == "null" {
		return c, nil
	}
	named, ok := as[struct {
		Type     string
		Function struct{ Name string }
	}](q.ToolChoice)
	if !ok || named.Type != "function" || named.Function.Name == "" {
		return c, badRequest("tool_choice", "tool_choice = %s; want none, auto, required or {\"type\": \"function\", \"function\": {\"name\": …}}", clip(string(q.ToolChoice)))
	}
	return toolChoice{required: true, name: named.Function.Name}, nil
}

// Forms in which models write calls.
const (
	hermesBegin = "<tool_call>" // Hermes and Qwen: {"name", "arguments"} between these
	hermesEnd   = "</tool_call>"
	llamaBegin  = "<|python_tag|>" // LLaMA 3, which may leave it out
)

// toolCalls reads the calls in a text, and gives the rest of it. A text that is none, or calls what there is not, is a text.
func toolCalls(text string, tools []Tool) (rest string, calls []ToolCall) {
	if strings.Contains(text, hermesBegin) {
		left := text
		for {
			before, after, found := strings.Cut(left, hermesBegin)
			rest += before
			if !found {
				return strings.TrimSpace(rest), calls
			}
			body, more, closed := strings.Cut(after, hermesEnd)
			call, ok := oneCall(body, "arguments", tools)
			if !closed || !ok {
				return text, nil
			}
			calls, left = append(calls, call), more
		}
	}
	if call, ok := oneCall(strings.TrimPrefix(strings.TrimSpace(text), llamaBegin), "parameters", tools); ok {
		return "", []ToolCall{call}
	}
	return text, nil
}

// oneCall reads a JSON object that calls a function, whose arguments have that key.
func oneCall(text, key string, tools []Tool) (ToolCall, bool) {
	var fields map[string]json.RawMessage
	var name string
	if json.Unmarshal([]byte(text), &fields) != nil || json.Unmarshal(fields["name"], &name) != nil {
		return ToolCall{}, false
	}
	arguments := bytes.TrimSpace(fields[key])
	if len(arguments) == 0 || arguments[0] != '{' || !slices.ContainsFunc(tools, func(t Tool) bool { return t.Function.Name == name }) {
		return ToolCall{}, false
	}
	return ToolCall{ID: newID("call_"), Type: "function", Function: ToolCallFunction{Name: name, Arguments: string(arguments)}}, true
}
