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
	"sparrow/model/decode"
)

// chat answers /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) error {
	var q ChatRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	switch {
	case m.writer == nil:
		return cannot(m.Name, "continues no text")
	case m.template == nil:
		return cannot(m.Name, "has no chat template; ask /v1/completions")
	}
	p, err := q.Sampling.plan(m)
	if err != nil {
		return err
	}
	logprobs, err := integer("top_logprobs", q.TopLogprobs, 0, 0, maxLogprobs)
	if err != nil {
		return err
	}
	if q.TopLogprobs != nil && !q.Logprobs {
		return badRequest("top_logprobs", "top_logprobs wants logprobs = true")
	}
	if q.Logprobs {
		p.request.Logprobs = max(1, logprobs)
	}
	tools, err := q.tools()
	if err != nil {
		return err
	}
	if p.shape, err = m.shape(q, tools); err != nil {
		return err
	}
	prompt, err := m.conversation(q, tools)
	if err != nil {
		return err
	}
	field, limit := "max_tokens", q.MaxTokens
	if q.MaxCompletionTokens != nil {
		field, limit = "max_completion_tokens", q.MaxCompletionTokens
	}
	if p.request.Tokens, err = m.room(field, prompt, limit, 0); err != nil {
		return err
	}

	out := ChatCompletion{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: m.Name}
	if q.Stream {
		out.Object = "chat.completion.chunk"
	}
	a := newAnswering(w, q.Sampling)
	a.usage.PromptTokens = len(prompt)
	choices := make([]ChatChoice, p.choices)
	err = each(r.Context(), len(choices), func(ctx context.Context, i int) error {
		t := &turn{m: m, index: i, top: logprobs, tools: tools, oneCall: q.ParallelToolCalls != nil && !*q.ParallelToolCalls}
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
		n, err := s.write(ctx, m, prompt, i, p, t.add)
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

// turn is a message that is being written.
type turn struct {
	m       *served
	index   int
	top     int    // likeliest tokens to give
	tools   []Tool // nil: the text is a text
	oneCall bool
	send    func(ChatChoice) error // of a stream; nil: none

	text     strings.Builder
	logprobs []ChatLogprob
	finish   string
	calls    []ToolCall
}

// add takes a piece. A text that may be a call of a tool is sent when it is whole.
func (t *turn) add(x piece) error {
	var logprobs *ChatLogprobs
	if content := t.m.chatLogprobs(x.tokens, t.top); len(content) > 0 {
		t.logprobs = append(t.logprobs, content...)
		logprobs = &ChatLogprobs{content}
	}
	t.text.WriteString(x.text)
	t.finish = x.finish
	text := x.text
	if t.tools != nil {
		if text = ""; x.finish != "" {
			var rest string
			if rest, t.calls = toolCalls(t.text.String(), t.tools); t.calls != nil {
				if t.oneCall {
					t.calls = t.calls[:1]
				}
				t.finish = "tool_calls"
				t.text.Reset()
				t.text.WriteString(rest)
			}
			text = t.text.String()
		}
	}
	if t.send == nil {
		return nil
	}
	if text != "" || logprobs != nil {
		if err := t.send(ChatChoice{Index: t.index, Delta: &ChatAnswer{Content: &text}, Logprobs: logprobs}); err != nil {
			return err
		}
	}
	if t.finish == "" {
		return nil
	}
	if len(t.calls) > 0 {
		calls := slices.Clone(t.calls)
		for i := range calls {
			calls[i].Index = &i
		}
		if err := t.send(ChatChoice{Index: t.index, Delta: &ChatAnswer{ToolCalls: calls}}); err != nil {
			return err
		}
	}
	return t.send(ChatChoice{Index: t.index, Delta: &ChatAnswer{}, FinishReason: &t.finish})
}

// whole is the message, at its end.
func (t *turn) whole() ChatChoice {
	text := t.text.String()
	c := ChatChoice{Index: t.index, Message: &ChatAnswer{Role: "assistant", ToolCalls: t.calls}, FinishReason: &t.finish}
	if text != "" || t.calls == nil {
		c.Message.Content = &text
	}
	if t.logprobs != nil {
		c.Logprobs = &ChatLogprobs{t.logprobs}
	}
	return c
}

// chatLogprobs are those of tokens, where they were asked for, as chats have them.
func (m *served) chatLogprobs(tokens []decode.Token, n int) []ChatLogprob {
	var out []ChatLogprob
	one := func(c decode.Candidate) ChatLogprob {
		text := tokenText(m.writer.Tokenizer(), c.ID)
		x := ChatLogprob{Token: strings.ToValidUTF8(text, "\uFFFD"), Logprob: c.Logprob, Bytes: make([]int, len(text))}
		for i, b := range []byte(text) {
			x.Bytes[i] = int(b)
		}
		return x
	}
	for _, t := range tokens {
		if t.Likely == nil {
			continue
		}
		x := one(decode.Candidate{ID: t.ID, Logprob: t.Logprob})
		for _, c := range t.Likely[:min(n, len(t.Likely))] {
			x.TopLogprobs = append(x.TopLogprobs, one(c))
		}
		out = append(out, x)
	}
	return out
}

// conversation is the tokens of a conversation, by the model's template.
func (m *served) conversation(q ChatRequest, tools []Tool) ([]int, error) {
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
