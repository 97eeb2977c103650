package chat

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string
	Content string
	// More are further fields that some templates read, such as tool_calls or name, in the order in which they stand.
	More []Field
}

// Field is a named value: a string, a number, a bool, nil, a []any or a []Field.
type Field struct {
	Name  string
	Value any
}

// Tokens are special tokens by which templates mark turns.
type Tokens struct{ BOS, EOS, Pad, Unknown string }

// Conversation is what a template renders.
type Conversation struct {
	Messages            []Message
	Tools               []any // JSON schemas of functions, each a []Field; nil: none
	AddGenerationPrompt bool  // whether the beginning of the assistant's next turn follows
	Tokens              Tokens
	More                []Field   // further variables, such as enable_thinking
	Now                 time.Time // of strftime_now; zero: the time of the call
}

// Template is a chat template that has been checked. It may be used by several goroutines.
type Template struct {
	source   string
	compiled *jinja.Template
}

// ErrTemplate marks a template that cannot be used.
var ErrTemplate = errors.New("chat: the template cannot be used")

// Parse checks and compiles a template. Errors match ErrTemplate and name the line.
func Parse(source string) (*Template, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrTemplate, len(source), maxSource)
	}
	// Jinja2 drops one line end at the end of a template.
	python, err := asPython(strings.TrimSuffix(source, "\n"))
	if err == nil {
		err = check(python)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	compiled, err := jinja.Compile(keepSpace(python))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return &Template{source, compiled}, nil
}

// Source is the template's text.
func (t *Template) Source() string { return t.source }

// ErrConversation marks a conversation that the template refuses or no template can render.
var ErrConversation = errors.New("chat: the conversation cannot be rendered")

// Render gives the text of a conversation, as transformers' apply_chat_template does. A conversation without messages, a
// message without a role, and one that the template itself refuses (raise_exception) are errors that match ErrConversation.
func (t *Template) Render(c Conversation) (string, error) {
	if len(c.Messages) == 0 {
		return "", fmt.Errorf("%w: it has no messages", ErrConversation)
	}
	messages := make([]jinja.Value, len(c.Messages))
	for i, m := range c.Messages {
		if m.Role == "" {
			return "", fmt.Errorf("%w: message %d has no role", ErrConversation, i+1)
		}
		messages[i] = valueOf(append([]Field{{"role", m.Role}, {"content", m.Content}}, m.More...))
	}
	now := c.Now
	if now.IsZero() {
		now = time.Now()
	}
	data := map[string]jinja.Value{
		"messages": jinja.NewList(messages), "add_generation_prompt": jinja.NewBool(c.AddGenerationPrompt),
		"bos_token": jinja.NewString(c.Tokens.BOS), "eos_token": jinja.NewString(c.Tokens.EOS),
		"pad_token": jinja.NewString(c.Tokens.Pad), "unk_token": jinja.NewString(c.Tokens.Unknown),
		"raise_exception": raise(), "strftime_now": clock(now), "tools": jinja.None(), "documents": jinja.None(),
	}
	maps.Copy(data, functions())
	if c.Tools != nil {
		data["tools"] = valueOf(c.Tools)
	}
	for _, f := range c.More {
		data[f.Name] = valueOf(f.Value)
	}
	text, err := t.compiled.RenderValues(data)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrConversation, err)
	}
	return text, nil
}

// valueOf makes a value of the engine; the order of fields stays.
func valueOf(x any) jinja.Value {
	switch x := x.(type) {
	case []Field:
		d := jinja.NewDict()
		for _, f := range x {
			d.AsDict().Set(f.Name, valueOf(f.Value))
		}
		return d
	case []any:
		items := make([]jinja.Value, len(x))
		for i, v := range x {
			items[i] = valueOf(v)
		}
		return jinja.NewList(items)
	case nil:
		return jinja.None()
	}
	return jinja.FromGoValue(x)
}

func raise() jinja.Value {
	return jinja.NewCallable("raise_exception", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		if len(args) == 0 {
			return jinja.None(), errors.New("the template refuses it")
		}
		return jinja.None(), errors.New(args[0].String())
	})
}
