package serve

import (
	"slices"
	"strings"

	"sparrow/model/decode"
)

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
