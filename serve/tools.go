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
		case tool.Function.Strict != nil && *tool.Function.Strict:
			return nil, badRequest("tools", "tools[%d]: strict = true is not supported: the arguments are as the model writes them", i)
		}
	}
	switch choice := string(q.ToolChoice); {
	case choice == `"none"`:
		return nil, nil
	case choice == "" || choice == "null" || choice == `"auto"`:
		return q.Tools, nil
	case len(q.Tools) == 0:
		return nil, badRequest("tool_choice", "tool_choice = %s wants tools", clip(choice))
	default:
		return nil, badRequest("tool_choice", "tool_choice = %s is not supported; want none or auto", clip(choice))
	}
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
