package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/saved"
	"sparrow/serve"
	"sparrow/task"
)

// chatHelp is what /help says.
const chatHelp = `/new           forget the conversation
/system TEXT   begin a new one with this system message; without TEXT: with none
/again         answer the last message anew, by other draws
/quit          end, as the end of the input does (Ctrl-D)
Ctrl-C ends an answer.
`

func chatCommand() *cobra.Command {
	var base, cache, draft, system string
	var last bool
	var context int
	opts := decoder.GenerateOptions{}
	c := &cobra.Command{
		Use:   "chat RUN|CHECKPOINT",
		Short: "Talk with a model that has a chat template",
		Long: `Talk with a model that has a chat template: a line is a message, and the answer is written as it comes, by what model serve
answers with. Ctrl-C ends the answer. Lines that begin with / are commands, unless a space comes before it; /help lists them.

Messages may be piped in, one a line; then standard output has the answers alone, each ended by a line break.

The generation_config.json of an imported model says how tokens are chosen; flags come before it.`,
		Example: "  model chat models/smollm2 --system \"Answer in one sentence.\"\n  echo \"Name three birds.\" | model chat models/smollm2 --temperature 0",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			checked := opts
			if checked.Tokens == 0 { // as many as there is room for
				checked.Tokens = 1
			}
			if err := checkSampling(checked); err != nil {
				return err
			}
			if cache != "float32" && cache != "int8" {
				return cli.Usagef("--cache-dtype %s; want float32 or int8", cache)
			}
			o := model.Options{Packed: true, Int8Cache: cache == "int8"}
			l, err := saved.OpenOn(args[0], base, last, o)
			if err != nil {
				return err
			}
			writer, writes := l.Task.(task.Generator)
			if !writes {
				return cli.Usagef("%s holds a model that continues no text", l.Dir)
			}
			if _, err := l.Files.File("chat_template.jinja"); err != nil {
				return cli.Usagef("%s has no chat template; let it continue a text by: %s", l.Dir, shell.Command("model", "generate", args[0], "--prompt", "TEXT"))
			}
			m := serve.Model{Name: "model", Model: l}
			if draft != "" {
				if m.Draft, err = saved.Open(draft, false, o); err != nil {
					return err
				}
			}
			s, err := serve.New(serve.Options{Slots: 1, Context: context}, m)
			if err != nil {
				return cli.Usagef("%w", err)
			}
			defer s.Close()
			sampler := sampling(c, writer, opts.Sampler)
			talk := &talk{s: s, out: os.Stdout, terminal: isTerminal(os.Stdin), system: system, request: serve.ChatRequest{Model: m.Name, Sampling: serve.Sampling{
				Temperature: &sampler.Temperature, TopP: &sampler.TopP, TopK: &sampler.TopK, MinP: &sampler.MinP, Repetition: &sampler.RepetitionPenalty, Seed: &sampler.Seed}}}
			if opts.Tokens > 0 {
				talk.request.MaxTokens = &opts.Tokens
			}
			signals := make(chan os.Signal, 1)
			signal.Notify(signals, os.Interrupt)
			defer signal.Stop(signals)
			return talk.run(os.Stdin, signals)
		},
	}
	c.Flags().StringVar(&system, "system", "", "system message that conversations begin with")
	c.Flags().IntVar(&opts.Tokens, "tokens", 0, "tokens of an answer; 0: until it ends, or the context is full")
	samplingFlags(c, &opts)
	c.Flags().IntVar(&context, "context", 0, "tokens of a conversation; 0: the model's, 4096 at most")
	c.Flags().StringVar(&cache, "cache-dtype", "float32", "of keys and values: float32 or int8, with a scale for each vector")
	c.Flags().StringVar(&draft, "draft", "", "smaller model with the same tokens that guesses what this one writes")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	cli.Threads(c)
	return c
}

// isTerminal tells whether a person types there.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// talk is a conversation at a terminal, or of piped lines.
type talk struct {
	s        *serve.Server
	out      io.Writer
	terminal bool // whether a person sees a prompt
	system   string
	request  serve.ChatRequest
}

// run answers lines until the input ends, or of a pipe until the first signal.
func (t *talk) run(in io.Reader, signals <-chan os.Signal) error {
	lines, failed := make(chan string), make(chan error, 1)
	go func() {
		defer close(lines)
		r := bufio.NewReader(in)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				if err != io.EOF {
					failed <- err
				}
				return
			}
		}
	}()
	t.begin()
	t.say("a line is a message; /help lists the commands\n")
	for {
		t.say("> ")
		select {
		case line, more := <-lines:
			if !more {
				t.say("\n")
				select {
				case err := <-failed:
					return fmt.Errorf("model: standard input: %w", err)
				default:
					return nil
				}
			}
			if end, err := t.line(strings.TrimRight(line, "\r\n"), signals); end || err != nil {
				return err
			}
		case <-signals:
			if !t.terminal {
				return errStopped
			}
			t.say("\nCtrl-C ends an answer; /quit or Ctrl-D ends the conversation\n")
		}
	}
}

// errStopped ends piped messages at a signal.
var errStopped = shell.Sentinel(shell.ExitInterrupted, "model: interrupted")

// say tells a person what is no answer.
func (t *talk) say(text string) {
	if t.terminal {
		fmt.Fprint(t.out, text)
	}
}

// begin begins a new conversation.
func (t *talk) begin() {
	t.request.Messages = nil
	if t.system != "" {
		t.add("system", t.system)
	}
}

func (t *talk) add(role, text string) {
	content, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text always has a JSON form
	}
	t.request.Messages = append(t.request.Messages, serve.ChatMessage{Role: role, Content: content})
}

// line takes a message or a command; end says that it is the last.
func (t *talk) line(line string, signals <-chan os.Signal) (end bool, err error) {
	command, rest, _ := strings.Cut(line, " ")
	switch {
	case strings.TrimSpace(line) == "":
		return false, nil
	case command == "/quit" || command == "/exit" || command == "/bye":
		return true, nil
	case command == "/help":
		fmt.Fprint(t.out, chatHelp)
	case command == "/new":
		t.begin()
	case command == "/system":
		t.system = strings.TrimSpace(rest)
		t.begin()
	case command == "/again":
		n := len(t.request.Messages)
		if n == 0 || t.request.Messages[n-1].Role != "assistant" {
			fmt.Fprintln(t.out, "there is no answer yet")
			return false, nil
		}
		t.request.Messages = t.request.Messages[:n-1]
		other := *t.request.Seed + 1
		t.request.Seed = &other
		return false, t.answer(signals)
	case strings.HasPrefix(line, "/"):
		fmt.Fprintf(t.out, "there is no command %q; these there are:\n%s", shell.Clip(command), chatHelp)
	default:
		t.add("user", strings.TrimSpace(line))
		return false, t.answer(signals)
	}
	return false, nil
}

// answer writes the next message, which a signal ends where it is.
func (t *talk) answer(signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-signals:
			cancel(errStopped)
		case <-done:
		}
	}()
	var written strings.Builder
	choice, err := t.s.Say(ctx, t.request, func(text string) error {
		if ctx.Err() != nil { // tokens that were chosen before the signal are not written after it
			return context.Cause(ctx)
		}
		written.WriteString(text)
		_, err := io.WriteString(t.out, text)
		return err
	})
	close(done)
	<-watched
	cancel(nil)
	var wrong *serve.Error
	stopped := errors.Is(err, errStopped)
	switch {
	case stopped && !t.terminal:
		fmt.Fprintln(t.out)
		return err
	case errors.As(err, &wrong) && t.terminal: // such as a context that is full: the person may go on
		fmt.Fprintf(t.out, "%v\n", err)
		if wrong.Code == "context_length_exceeded" {
			fmt.Fprintln(t.out, "begin a new conversation by: /new")
		}
		t.request.Messages = t.request.Messages[:len(t.request.Messages)-1]
		return nil
	case err != nil && !stopped:
		return err
	}
	fmt.Fprintln(t.out)
	if choice.FinishReason != nil && *choice.FinishReason == "length" {
		t.say("(cut: no more tokens were to follow)\n")
	}
	t.add("assistant", written.String())
	return nil
}
