package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sparrow/model/decode"
)

// defaultCompletion is how many tokens OpenAI's completions have if nothing is said.
const defaultCompletion = 16

// completions answers /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	var q CompletionRequest
	if err := s.read(r, &q); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	if m.writer == nil {
		return cannot(m.Name, "continues no text")
	}
	p, err := q.Sampling.plan(m)
	if err != nil {
		return err
	}
	if q.Suffix != "" {
		return badRequest("suffix", "suffix is not supported: these models continue a text and fill no gap")
	}
	if q.BestOf != nil && *q.BestOf != p.choices {
		return badRequest("best_of", "best_of = %d is not supported; want n = %d, or leave it out", *q.BestOf, p.choices)
	}
	logprobs := -1
	if q.Logprobs != nil {
		if logprobs, err = integer("logprobs", q.Logprobs, 0, 0, maxLogprobs); err != nil {
			return err
		}
		p.request.Logprobs = max(1, logprobs)
	}
	prompts, texts, err := m.prompts(q.Prompt)
	if err != nil {
		return err
	}
	if n := len(prompts) * p.choices; n > maxChoices {
		return badRequest("n", "%d prompts with %d choices each; want at most %d in all", len(prompts), p.choices, maxChoices)
	}
	only := q.Echo && q.MaxTokens != nil && *q.MaxTokens == 0 // the prompt's log-probabilities are wanted, and nothing else
	limits := make([]int, len(prompts))
	for i, prompt := range prompts {
		if only {
			if len(prompt) == 0 || len(prompt) > m.context {
				return badRequest("prompt", "a prompt of %d tokens; want 1 to %d", len(prompt), m.context)
			}
		} else if limits[i], err = m.room("max_tokens", prompt, q.MaxTokens, defaultCompletion); err != nil {
			return err
		}
	}
	out := Completion{ID: newID("cmpl-"), Object: "text_completion", Created: time.Now().Unix(), Model: m.Name}
	a := newAnswering(w, q.Sampling)
	a.usage.PromptTokens = 0
	for _, prompt := range prompts {
		a.usage.PromptTokens += len(prompt)
	}
	choices := make([]CompletionChoice, len(prompts)*p.choices)
	err = each(r.Context(), len(choices), func(ctx context.Context, i int) error {
		prompt, choice := i/p.choices, i%p.choices
		c := &choices[i]
		c.Index = i
		offset := 0
		add := func(text string, tokens []decode.Token, finish string) error {
			part := CompletionChoice{Index: i, Text: text}
			if logprobs >= 0 {
				part.Logprobs = m.completionLogprobs(tokens, logprobs, &offset)
			}
			if finish != "" {
				part.FinishReason = &finish
			}
			if q.Stream {
				event := out
				event.Choices = []CompletionChoice{part}
				return a.event(event)
			}
			c.Text += part.Text
			c.FinishReason = part.FinishReason
			c.Logprobs = joinLogprobs(c.Logprobs, part.Logprobs)
			return nil
		}
		if q.Echo {
			var tokens []decode.Token
			if logprobs >= 0 {
				var err error
				if tokens, err = m.promptLogprobs(ctx, prompts[prompt], logprobs); err != nil {
					return err
				}
			}
			finish := ""
			if only {
				finish = string(decode.Length)
			}
			if err := add(texts[prompt], tokens, finish); err != nil || only {
				return err
			}
		}
		p := p
		p.request.Tokens = limits[prompt]
		n, err := s.write(ctx, m, prompts[prompt], choice, p, func(x piece) error { return add(x.text, x.tokens, x.finish) })
		a.wrote(n)
		return err
	})
	if err != nil {
		return a.fail(err)
	}
	if q.Stream {
		event := out
		event.Choices = []CompletionChoice{}
		return a.end(func(u *Usage) any { event.Usage = u; return event })
	}
	out.Choices, out.Usage = choices, a.counted()
	answer(w, http.StatusOK, out)
	return nil
}

// prompts reads the prompts of a request, with their texts.
func (m *served) prompts(given json.RawMessage) (ids [][]int, texts []string, err error) {
	var many []string
	var lists [][]int
	t := m.writer.Tokenizer()
	if one, ok := as[string](given); ok {
		many = []string{one}
	} else if tokens, ok := as[[]int](given); ok {
		lists = [][]int{tokens}
	} else if many, ok = as[[]string](given); !ok {
		if lists, ok = as[[][]int](given); !ok {
			return nil, nil, badRequest("prompt", "prompt is no text, no array of texts, no array of token ids and no array of those")
		}
	}
	if len(many)+len(lists) == 0 || len(many)+len(lists) > maxChoices {
		return nil, nil, badRequest("prompt", "%d prompts; want 1 to %d", len(many)+len(lists), maxChoices)
	}
	for _, text := range many {
		x, err := m.encode(text)
		if err != nil {
			return nil, nil, err
		}
		ids, texts = append(ids, x), append(texts, text)
	}
	for _, list := range lists {
		for _, id := range list {
			if id < 0 || id >= t.VocabSize() {
				return nil, nil, badRequest("prompt", "prompt has the token %d; want 0 to %d", id, t.VocabSize()-1)
			}
		}
		ids, texts = append(ids, list), append(texts, t.Decode(list))
	}
	return ids, texts, nil
}

// completionLogprobs are those of tokens, as completions have them; offset is where the first begins, and then the next.
func (m *served) completionLogprobs(tokens []decode.Token, n int, offset *int) *CompletionLogprobs {
	t := m.writer.Tokenizer()
	out := &CompletionLogprobs{Tokens: []string{}, TokenLogprobs: []*float64{}, TopLogprobs: []map[string]float64{}, TextOffset: []int{}}
	for _, x := range tokens {
		text := tokenText(t, x.ID)
		out.Tokens = append(out.Tokens, shown(text))
		out.TextOffset = append(out.TextOffset, *offset)
		*offset += len(text)
		if x.Likely == nil { // the first of a prompt
			out.TokenLogprobs, out.TopLogprobs = append(out.TokenLogprobs, nil), append(out.TopLogprobs, nil)
			continue
		}
		p := x.Logprob
		top := make(map[string]float64, n)
		for _, c := range x.Likely[:min(n, len(x.Likely))] {
			if text := shown(tokenText(t, c.ID)); top[text] == 0 { // of two of the same text the likelier
				top[text] = c.Logprob
			}
		}
		out.TokenLogprobs, out.TopLogprobs = append(out.TokenLogprobs, &p), append(out.TopLogprobs, top)
	}
	return out
}

// shown is the text of a token as OpenAI's completions write it: bytes that are no text by their numbers.
func shown(token string) string {
	if utf8.ValidString(token) {
		return token
	}
	var b strings.Builder
	b.WriteString("bytes:")
	for _, x := range []byte(token) {
		fmt.Fprintf(&b, `\x%02x`, x)
	}
	return b.String()
}

func joinLogprobs(a, b *CompletionLogprobs) *CompletionLogprobs {
	if a == nil || b == nil {
		return b
	}
	a.Tokens, a.TokenLogprobs = append(a.Tokens, b.Tokens...), append(a.TokenLogprobs, b.TokenLogprobs...)
	a.TopLogprobs, a.TextOffset = append(a.TopLogprobs, b.TopLogprobs...), append(a.TextOffset, b.TextOffset...)
	return a
}

// answering is an answer under way: a stream of events, or a count of tokens for the one answer at the end.
type answering struct {
	w      http.ResponseWriter
	stream bool
	counts bool // whether a stream ends with what it counted

	mu    sync.Mutex // choices come at the same time
	begun bool
	usage Usage
}

func newAnswering(w http.ResponseWriter, s Sampling) *answering {
	return &answering{w: w, stream: s.Stream, counts: s.StreamOptions != nil && s.StreamOptions.IncludeUsage}
}

// wrote counts tokens.
func (a *answering) wrote(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usage.CompletionTokens += n
}

func (a *answering) counted() *Usage {
	a.usage.TotalTokens = a.usage.PromptTokens + a.usage.CompletionTokens
	return &a.usage
}

// event sends an event of a stream.
func (a *answering) event(x any) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		a.begun = true
		a.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		a.w.Header().Set("Cache-Control", "no-cache")
	}
	if _, err := a.w.Write(append(append([]byte("data: "), text...), "\n\n"...)); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// fail ends an answer by an error: as an event where a stream has begun.
func (a *answering) fail(err error) error {
	if !a.begun {
		return err
	}
	return a.event(map[string]any{"error": toError(err)})
}

// end ends a stream; with makes the event that has the counts.
func (a *answering) end(with func(*Usage) any) error {
	if a.counts {
		if err := a.event(with(a.counted())); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.w.Write([]byte("data: [DONE]\n\n"))
	return err
}
