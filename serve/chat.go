package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"sparrow/data/chat"
)

// chat answers /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) error {
	var q ChatRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	c, err := s.conversing(q)
	if err != nil {
		return err
	}
	out := ChatCompletion{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: c.m.Name}
	if q.Stream {
		out.Object = "chat.completion.chunk"
	}
	a := newAnswering(w, q.Sampling)
	a.usage.PromptTokens = len(c.prompt)
	choices := make([]ChatChoice, c.plan.choices)
	err = each(r.Context(), len(choices), func(ctx context.Context, i int) error {
		t := c.turn(i)
		if q.Stream {
			t.send = func(c ChatChoice) error {
				event := out
				event.Choices = []ChatChoice{c}
				return a.event(event)
			}
			empty := ""
			if err := t.send(ChatChoice{Index: i, Delta: &ChatAnswer{Role: "assistant", Content: &empty}}); err != nil {
				return err
			}
		}
		n, err := s.write(ctx, c.m, c.prompt, i, c.plan, t.add)
		a.wrote(n)
		choices[i] = t.whole()
		return err
	})
	if err != nil {
		return a.fail(err)
	}
	if q.Stream {
		event := out
		event.Choices = []ChatChoice{}
		return a.end(func(u *Usage) any { event.Usage = u; return event })
	}
	out.Choices, out.Usage = choices, a.counted()
	answer(w, http.StatusOK, out)
	return nil
}

// Say writes the next message of a conversation for a program that needs no HTTP: one choice, by the loop that answers
// /v1/chat/completions and with its bits. It gives emit the text piece by piece; q.N and q.Stream count for nothing. The end of
// ctx ends the message where it is, with the text so far and ctx's error. Other errors are an [*Error] if q is wrong.
func (s *Server) Say(ctx context.Context, q ChatRequest, emit func(text string) error) (ChatChoice, error) {
	q.N = nil
	c, err := s.conversing(q)
	if err != nil {
		return ChatChoice{}, err
	}
	t := c.turn(0)
	t.send = func(c ChatChoice) error {
		if c.Delta.Content == nil {
			return nil
		}
		return emit(*c.Delta.Content)
	}
	_, err = s.write(ctx, c.m, c.prompt, 0, c.plan, t.add)
	return t.whole(), err
}

// conversation is a ChatRequest that has been checked.
type conversation struct {
	m        *served
	plan     plan
	prompt   []int
	tools    []Tool
	oneCall  bool
	logprobs int
}

// conversing checks a request.
func (s *Server) conversing(q ChatRequest) (c *conversation, err error) {
	c = &conversation{oneCall: q.ParallelToolCalls != nil && !*q.ParallelToolCalls}
	if c.m, err = s.named(q.Model); err != nil {
		return nil, err
	}
	switch {
	case c.m.writer == nil:
		return nil, cannot(c.m.Name, "continues no text")
	case c.m.template == nil:
		return nil, cannot(c.m.Name, "has no chat template; ask /v1/completions")
	}
	if c.plan, err = q.Sampling.plan(c.m); err != nil {
		return nil, err
	}
	if c.logprobs, err = integer("top_logprobs", q.TopLogprobs, 0, 0, maxLogprobs); err != nil {
		return nil, err
	}
	if q.TopLogprobs != nil && !q.Logprobs {
		return nil, badRequest("top_logprobs", "top_logprobs wants logprobs = true")
	}
	if q.Logprobs {
		c.plan.request.Logprobs = max(1, c.logprobs)
	}
	if c.tools, err = q.tools(); err != nil {
		return nil, err
	}
	if c.plan.shape, err = c.m.shape(q, c.tools); err != nil {
		return nil, err
	}
	if c.prompt, err = c.m.promptOf(q, c.tools); err != nil {
		return nil, err
	}
	field, limit := "max_tokens", q.MaxTokens
	if q.MaxCompletionTokens != nil {
		field, limit = "max_completion_tokens", q.MaxCompletionTokens
	}
	c.plan.request.Tokens, err = c.m.room(field, c.prompt, limit, 0)
	return c, err
}

// turn begins a choice.
func (c *conversation) turn(i int) *turn {
	return &turn{m: c.m, index: i, top: c.logprobs, tools: c.tools, oneCall: c.oneCall}
}

// promptOf is the tokens of a conversation, by the model's template.
func (m *served) promptOf(q ChatRequest, tools []Tool) ([]int, error) {
	c := chat.Conversation{AddGenerationPrompt: true, Tokens: m.specials}
	for i, message := range q.Messages {
		content, err := textOf(message.Content)
		if err != nil {
			return nil, badRequest("messages", "messages[%d].content: %v", i, err)
		}
		x := chat.Message{Role: message.Role, Content: content}
		if message.Name != "" {
			x.More = append(x.More, chat.Field{Name: "name", Value: message.Name})
		}
		if message.ToolCallID != "" {
			x.More = append(x.More, chat.Field{Name: "tool_call_id", Value: message.ToolCallID})
		}
		var calls []any
		for _, call := range message.ToolCalls {
			arguments, err := chat.ParseJSON([]byte(call.Function.Arguments))
			if err != nil {
				return nil, badRequest("messages", "messages[%d].tool_calls: the arguments of %q are no JSON", i, clip(call.Function.Name))
			}
			calls = append(calls, []chat.Field{{Name: "id", Value: call.ID}, {Name: "type", Value: "function"}, {Name: "function", Value: []chat.Field{
				{Name: "name", Value: call.Function.Name}, {Name: "arguments", Value: arguments}}}})
		}
		if calls != nil {
			x.More = append(x.More, chat.Field{Name: "tool_calls", Value: calls})
		}
		c.Messages = append(c.Messages, x)
	}
	for i, tool := range tools {
		text, err := json.Marshal(tool)
		if err != nil {
			return nil, badRequest("tools", "tools[%d]: %v", i, err)
		}
		x, err := chat.ParseJSON(text)
		if err != nil {
			return nil, badRequest("tools", "tools[%d]: %v", i, err)
		}
		c.Tools = append(c.Tools, x)
	}
	for _, name := range slices.Sorted(maps.Keys(q.TemplateArguments)) {
		text, err := json.Marshal(q.TemplateArguments[name])
		if err != nil {
			return nil, err
		}
		x, err := chat.ParseJSON(text)
		if err != nil {
			return nil, badRequest("chat_template_kwargs", "%s: %v", clip(name), err)
		}
		c.More = append(c.More, chat.Field{Name: name, Value: x})
	}
	text, err := m.template.Render(c)
	if errors.Is(err, chat.ErrConversation) {
		return nil, badRequest("messages", "%v", err)
	} else if err != nil {
		return nil, err
	}
	if err := m.length("messages", text); err != nil {
		return nil, err
	}
	t := m.writer.Tokenizer()
	ids, err := t.Encode(text) // a template writes what a text begins with
	if err != nil {
		return nil, badRequest("messages", "%v", err)
	}
	return ids, nil
}

// textOf is the content of a message: a text, or an array of parts that are texts.
func textOf(content json.RawMessage) (string, error) {
	content = bytes.TrimSpace(content)
	var text string
	if len(content) == 0 || json.Unmarshal(content, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string
		Text *string
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return "", errors.New("want a text or an array of parts")
	}
	var b strings.Builder
	for _, part := range parts {
		if part.Type != "text" || part.Text == nil {
			return "", errors.New("a part of type " + clip(part.Type) + " is not supported; want parts of type text")
		}
		b.WriteString(*part.Text)
	}
	return b.String(), nil
}
