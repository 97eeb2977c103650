package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sparrow/interchange"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/serve"
)

// wordTemplate is a chat template in the words of the small model that the tests talk with.
const wordTemplate = `{% for m in messages %}{% if m['role'] == 'system' %}w1 {% elif m['role'] == 'user' %}w2 {% else %}w3 {% endif %}{{ m['content'] }} {% endfor %}w4`

// talker serves a small model with a chat template for a conversation of up to 64 tokens, which no token ends.
func talker(t *testing.T) *serve.Server {
	t.Helper()
	source := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "interchange", "testdata", "models", "llama", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(source, name), bytes.ReplaceAll(text, []byte(`"eos_token_id": 2,`), nil), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(source, "chat_template.jinja"), []byte(wordTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	in, err := interchange.Open(source, interchange.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m, err := in.Model()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := writeImport(io.Discard, m, dir); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, false, model.Options{Packed: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Options{Slots: 1}, serve.Model{Name: "model", Model: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newTalk(s *serve.Server, tokens int, terminal bool, out io.Writer) *talk {
	zero, seed := 0.0, uint64(1)
	return &talk{s: s, out: out, terminal: terminal, request: serve.ChatRequest{Model: "model", MaxTokens: &tokens, Sampling: serve.Sampling{Temperature: &zero, Seed: &seed}}}
}

// TestTalk: piped lines are messages of one conversation, whose answers are those of the server, and commands change it.
func TestTalk(t *testing.T) {
	s := talker(t)
	want := func(messages ...string) string { // role and text in turn
		x := newTalk(s, 4, false, nil)
		for i := 0; i < len(messages); i += 2 {
			x.add(messages[i], messages[i+1])
		}
		c, err := s.Say(t.Context(), x.request, func(string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return *c.Message.Content
	}
	first := want("user", "w5 w6")
	second := want("user", "w5 w6", "assistant", first, "user", "w7")
	with := want("system", "w9", "user", "w5 w6")
	if first == "" || first == with || first == second {
		t.Fatalf("the answers tell nothing: %q, %q, %q", first, second, with)
	}
	for _, c := range []struct{ name, in, want string }{
		{"a conversation", "w5 w6\n\n w7 \n", first + "\n" + second + "\n"},
		{"the last line without an end", "w5 w6\nw7", first + "\n" + second + "\n"},
		{"a new one", "w5 w6\n/new\nw5 w6\n", first + "\n" + first + "\n"},
		{"a system message", "w5\n/system w9\nw5 w6\n", want("user", "w5") + "\n" + with + "\n"},
		{"again", "w5 w6\n/again\nw7\n", first + "\n" + first + "\n" + second + "\n"},
		{"the end", "w5 w6\n/quit\nw7\n", first + "\n"},
		{"nothing to say again", "/again\n", "there is no answer yet\n"},
		{"help", "/help\n", chatHelp},
		{"no command", "/halp me\n", "there is no command \"/halp\"; these there are:\n" + chatHelp},
	} {
		var out strings.Builder
		if err := newTalk(s, 4, false, &out).run(strings.NewReader(c.in), nil); err != nil || out.String() != c.want {
			t.Errorf("%s: %v, %q, want %q", c.name, err, out.String(), c.want)
		}
	}
}

// interrupting is an output at which a signal comes with the first text that has word.
type interrupting struct {
	text    strings.Builder
	word    string
	signals chan os.Signal
}

func (w *interrupting) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if w.signals != nil && strings.Contains(w.text.String(), w.word) {
		w.signals <- os.Interrupt
		w.signals = nil
		time.Sleep(20 * time.Millisecond) // until it is heard
	}
	return n, err
}

// TestTalkInterrupted: a signal ends an answer and not a conversation, of which the text so far stays a part; where nobody types
// it ends the program.
func TestTalkInterrupted(t *testing.T) {
	s := talker(t)
	whole := newTalk(s, 40, true, io.Discard)
	whole.add("user", "w5")
	c, err := s.Say(t.Context(), whole.request, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal)
	out := &interrupting{word: "w", signals: signals}
	x := newTalk(s, 40, true, out)
	x.add("user", "w5")
	if err := x.answer(signals); err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSuffix(out.text.String(), "\n")
	if !strings.HasPrefix(*c.Message.Content, got) || got == "" || len(x.request.Messages) != 2 || !strings.Contains(string(x.request.Messages[1].Content), got) {
		t.Errorf("it wrote %q of %q, and the conversation is %v", got, *c.Message.Content, x.request.Messages)
	}
	if len(got) == len(*c.Message.Content) {
		t.Error("the signal ends nothing")
	}
	signals = make(chan os.Signal)
	x = newTalk(s, 40, false, &interrupting{word: "w", signals: signals})
	if err := x.run(strings.NewReader("w5\nw5\n"), signals); !errors.Is(err, errStopped) || shell.ExitCode(err) != shell.ExitInterrupted {
		t.Errorf("a pipe: %v", err)
	}
	signals = make(chan os.Signal, 1)
	signals <- os.Interrupt
	lines := &quitting{}
	out = &interrupting{}
	lines.ready = func() bool { return len(signals) == 0 }
	if err := newTalk(s, 4, true, out).run(lines, signals); err != nil || !strings.Contains(out.text.String(), "/quit or Ctrl-D") {
		t.Errorf("while nothing is written: %v, %q", err, out.text.String())
	}
}

// quitting is an input that says /quit when it is ready.
type quitting struct{ ready func() bool }

func (q *quitting) Read(p []byte) (int, error) {
	for !q.ready() {
		time.Sleep(time.Millisecond)
	}
	return copy(p, "/quit\n"), nil
}

// TestTalkFull: a conversation that fills the context says what helps, and goes on; of a pipe it is an error.
func TestTalkFull(t *testing.T) {
	s := talker(t)
	long := strings.Repeat("w5 ", 80)
	var out strings.Builder
	if err := newTalk(s, 4, true, &out).run(strings.NewReader(long+"\nw5\n"), nil); err != nil || !strings.Contains(out.String(), "/new") || strings.Count(out.String(), "w") < 4 {
		t.Errorf("%v: %q", err, out.String())
	}
	var wrong *serve.Error
	if err := newTalk(s, 4, false, &out).run(strings.NewReader(long+"\n"), nil); !errors.As(err, &wrong) || wrong.Code != "context_length_exceeded" {
		t.Errorf("a pipe: %v", err)
	}
	broken, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Say(broken, newTalk(s, 4, false, nil).request, nil); err == nil {
		t.Error("a conversation without messages in a context that is done")
	}
}
