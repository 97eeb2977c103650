package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sparrow/model"
)

// TestShapes: what a schema asks for comes, whatever the weights are; also where no token ends a text, and in a stream.
func TestShapes(t *testing.T) {
	t.Parallel()
	endless := made(t, writerConfig, files{"chat_template.jinja": template, "generation_config.json": `{"eos_token_id": 300}`}, model.Options{Packed: true})
	_, url := start(t, Options{}, Model{Name: "writer", Model: writer(t, "", model.Options{})}, Model{Name: "endless", Model: endless})
	schema := fields{"type": "object", "additionalProperties": false, "required": []string{"mood", "n", "tags"}, "properties": fields{
		"mood": fields{"enum": []string{"glad", "sad"}}, "n": fields{"type": "integer", "minimum": 7, "maximum": 12},
		"tags": fields{"type": "array", "items": fields{"type": "string", "pattern": "^[a-c]{2}$"}, "minItems": 1, "maxItems": 3}}}
	for _, name := range []string{"writer", "endless"} {
		for seed := range 5 {
			q := fields{"model": name, "messages": []fields{{"role": "user", "content": "x"}}, "max_tokens": 200, "seed": seed, "temperature": 2,
				"response_format": fields{"type": "json_schema", "json_schema": fields{"name": "x", "schema": schema}}, "logit_bias": fields{"123": -100}}
			got, _ := ask[ChatCompletion](t, url+"/v1/chat/completions", q, 200)
			c := got.Choices[0]
			var x struct {
				Mood string
				N    int
				Tags []string
			}
			if err := json.Unmarshal([]byte(*c.Message.Content), &x); err != nil || x.Mood != "glad" && x.Mood != "sad" || x.N < 7 || x.N > 12 || len(x.Tags) < 1 || len(x.Tags) > 3 || *c.FinishReason != "stop" {
				t.Errorf("%s: %v: %s (%s)", name, err, *c.Message.Content, *c.FinishReason)
			}
			q["stream"] = true
			said := ""
			for _, event := range events[ChatCompletion](t, url+"/v1/chat/completions", q) {
				for _, c := range event.Choices {
					if c.Delta.Content != nil {
						said += *c.Delta.Content
					}
				}
			}
			if said != *c.Message.Content {
				t.Errorf("%s: a stream says %s, one answer %s", name, said, *c.Message.Content)
			}
		}
	}
	got, _ := ask[ChatCompletion](t, url+"/v1/chat/completions", fields{"model": "writer", "messages": []fields{{"role": "user", "content": "x"}}, "max_tokens": 40,
		"response_format": fields{"type": "json_object"}}, 200)
	if text := *got.Choices[0].Message.Content; !strings.HasPrefix(text, "{") {
		t.Errorf("an object begins with %q", text)
	}
	bad, _ := ask[failure](t, url+"/v1/chat/completions", fields{"model": "writer", "messages": []fields{{"role": "user", "content": "x"}},
		"response_format": fields{"type": "json_schema", "json_schema": fields{"schema": fields{"type": "string", "format": "date"}}}}, 400)
	if bad.Error.Param != "response_format" || !strings.Contains(bad.Error.Message, `"format" is not supported`) {
		t.Errorf("%+v", bad)
	}
}

// TestRequiredCalls: a call that is required comes, in the form of the template, with arguments that are valid.
func TestRequiredCalls(t *testing.T) {
	t.Parallel()
	hermes := made(t, writerConfig, files{"chat_template.jinja": template + "{# <tool_call> #}", "generation_config.json": `{"eos_token_id": 3}`}, model.Options{Packed: true})
	_, url := start(t, Options{}, Model{Name: "llama", Model: writer(t, "", model.Options{})}, Model{Name: "hermes", Model: hermes})
	tools := []fields{}
	for _, name := range []string{"weather", "time"} {
		tools = append(tools, fields{"type": "function", "function": fields{"name": name, "parameters": fields{"type": "object", "properties": fields{
			"city": fields{"enum": []string{"Oslo", "Rome"}}}, "required": []string{"city"}, "additionalProperties": false}}})
	}
	for _, name := range []string{"llama", "hermes"} {
		for i, choice := range []any{"required", fields{"type": "function", "function": fields{"name": "time"}}} {
			for seed := range 4 {
				q := fields{"model": name, "messages": []fields{{"role": "user", "content": "x"}}, "max_tokens": 90, "seed": seed, "temperature": 2, "tools": tools, "tool_choice": choice}
				got, _ := ask[ChatCompletion](t, url+"/v1/chat/completions", q, 200)
				c := got.Choices[0]
				if len(c.Message.ToolCalls) != 1 || *c.FinishReason != "tool_calls" || c.Message.Content != nil {
					t.Fatalf("%s: %s", name, text(t, c))
				}
				call := c.Message.ToolCalls[0]
				var arguments struct{ City string }
				if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil || arguments.City != "Oslo" && arguments.City != "Rome" {
					t.Errorf("%s: %s", name, call.Function.Arguments)
				}
				if i == 1 && call.Function.Name != "time" {
					t.Errorf("%s: it calls %s", name, call.Function.Name)
				}
				q["stream"] = true
				var streamed []ToolCall
				for _, event := range events[ChatCompletion](t, url+"/v1/chat/completions", q) {
					for _, c := range event.Choices {
						streamed = append(streamed, c.Delta.ToolCalls...)
					}
				}
				if len(streamed) != 1 || streamed[0].Function != call.Function || *streamed[0].Index != 0 {
					t.Errorf("%s: a stream calls %s, one answer %s", name, text(t, streamed), text(t, call))
				}
			}
		}
	}
	for choice, want := range map[string]string{`"perhaps"`: "want none", `{"type": "function", "function": {"name": "rob"}}`: "none of the tools", `3`: "want none"} {
		bad, _ := ask[failure](t, url+"/v1/chat/completions", fmt.Sprintf(`{"model": "llama", "messages": [{"role": "user", "content": "x"}], "tools": %s, "tool_choice": %s}`, text(t, tools), choice), 400)
		if bad.Error.Param != "tool_choice" || !strings.Contains(bad.Error.Message, want) {
			t.Errorf("%s: %+v", choice, bad)
		}
	}
}
