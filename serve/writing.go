package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"unicode/utf8"

	"sparrow/data/tokenizers"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/serve/constrain"
)

// Bounds of what a request may ask for.
const (
	maxChoices  = 128 // of all prompts
	maxStops    = 16
	maxLogprobs = 20
)

// plan is what a request asks for, checked, but for the prompts.
type plan struct {
	choices  int // of each prompt
	request  decode.Request
	stops    []string
	bias     map[int]float32
	presence float32
	often    float32
	shape    *constrain.Constraint // of what is written; nil: any text
}

// number checks a field; nil has the value preset.
func number(field string, x *float64, preset, least, most float64) (float64, error) {
	switch {
	case x == nil:
		return preset, nil
	case !(*x >= least && *x <= most) || !kernel.Finite(*x):
		return 0, badRequest(field, "%s = %g; want %g to %g", field, *x, least, most)
	}
	return *x, nil
}

func integer(field string, x *int, preset, least, most int) (int, error) {
	switch {
	case x == nil:
		return preset, nil
	case *x < least || *x > most:
		return 0, badRequest(field, "%s = %d; want %d to %d", field, *x, least, most)
	}
	return *x, nil
}

// plan checks how tokens are to be chosen. What a request does not say the model's makers do.
func (s Sampling) plan(m *served) (p plan, err error) {
	var presence, often float64
	sampler, preset := &p.request.Sampler, m.writer.Sampling(model.Sampler{Temperature: 1, TopP: 1, RepetitionPenalty: 1})
	var errs [9]error
	sampler.Temperature, errs[0] = number("temperature", s.Temperature, preset.Temperature, 0, 1e4)
	sampler.TopP, errs[1] = number("top_p", s.TopP, preset.TopP, 0, 1)
	sampler.TopK, errs[2] = integer("top_k", s.TopK, preset.TopK, -1, math.MaxInt)
	sampler.MinP, errs[7] = number("min_p", s.MinP, preset.MinP, 0, 1)
	sampler.RepetitionPenalty, errs[8] = number("repetition_penalty", s.Repetition, preset.RepetitionPenalty, 0.01, 100)
	presence, errs[3] = number("presence_penalty", s.PresencePenalty, 0, -2, 2)
	often, errs[4] = number("frequency_penalty", s.FrequencyPenalty, 0, -2, 2)
	p.choices, errs[5] = integer("n", s.N, 1, 1, maxChoices)
	p.bias, errs[6] = biases(s.LogitBias, m.writer.Tokenizer().VocabSize())
	for _, err := range errs {
		if err != nil {
			return p, err
		}
	}
	sampler.TopK = max(0, sampler.TopK) // some clients send -1 for all
	if s.Seed != nil {
		sampler.Seed = *s.Seed
	} else {
		sampler.Seed = rand.Uint64()
	}
	if len(s.Stop) > maxStops {
		return p, badRequest("stop", "stop has %d texts; want at most %d", len(s.Stop), maxStops)
	}
	for _, stop := range s.Stop {
		if stop == "" {
			return p, badRequest("stop", "stop holds an empty text; want texts that end what is written")
		}
	}
	if s.Steer != nil {
		if p.request.Steer, err = s.Steer.find(m); err != nil {
			return p, err
		}
	}
	p.stops = s.Stop
	p.presence, p.often = float32(presence), float32(often)
	return p, nil
}

// find is what a request adds.
func (s SteerRequest) find(m *served) ([]decode.Addition, error) {
	switch {
	case m.Steer == nil:
		return nil, badRequest("steer", "steer: the model is served without features")
	case s.KL != nil && s.Alpha != nil:
		return nil, badRequest("steer", "steer has kl and alpha, which both say how much is added; want one")
	}
	a, err := m.Steer(s.Feature, s.KL, s.Alpha)
	if err != nil {
		return nil, badRequest("steer", "steer: %v", err)
	}
	return []decode.Addition{a}, nil
}

func biases(given map[string]float64, vocab int) (map[int]float32, error) {
	out := make(map[int]float32, len(given))
	for text, x := range given {
		id, err := strconv.Atoi(text)
		if err != nil || id < 0 || id >= vocab {
			return nil, badRequest("logit_bias", "logit_bias has the key %q; want ids of tokens, 0 to %d", clip(text), vocab-1)
		}
		if _, err := number("logit_bias", &x, 0, -100, 100); err != nil {
			return nil, err
		}
		out[id] = float32(x)
	}
	return out, nil
}

// allow changes scores as penalties, biases and the shape of the text say; nil: they say nothing. A bias of -100 forbids a token, as
// OpenAI's does, unless the shape leaves no other.
func (p plan) allow(w *constrain.Writing) func([]int, []float32) {
	if len(p.bias) == 0 && p.presence == 0 && p.often == 0 && w == nil {
		return nil
	}
	never := float32(math.Inf(-1))
	return func(written []int, scores []float32) {
		if p.presence != 0 || p.often != 0 {
			times := make(map[int]int, len(written))
			for _, id := range written {
				times[id]++
			}
			for id, n := range times {
				scores[id] -= p.presence + float32(n)*p.often
			}
		}
		for id, x := range p.bias {
			if x <= -100 && w == nil {
				scores[id] = never
			} else {
				scores[id] += x
			}
		}
		if w != nil {
			w.Apply(written, scores, never)
		}
	}
}

// piece is what a choice has written since the last one.
type piece struct {
	text   string
	tokens []decode.Token // with their log-probabilities, those that the text is made of; a rune may take several
	finish string         // "": it goes on
}

// write continues a prompt and gives the text piece by piece, without its end token and without what follows a stop text. It
// returns how many tokens were written.
func (s *Server) write(ctx context.Context, m *served, prompt []int, choice int, p plan, emit func(piece) error) (count int, err error) {
	tokenizer := m.writer.Tokenizer()
	stream := tokenizers.NewStream(tokenizer)
	r := p.request
	r.Prompt, r.Choice = prompt, choice
	ends := m.writer.Ends()
	var shape *constrain.Writing
	if p.shape != nil {
		shape = p.shape.Writing()
	}
	r.Allow = p.allow(shape)
	r.Stop = func(written []int) bool {
		return slices.Contains(ends, written[len(written)-1]) || shape != nil && shape.Done(written)
	}
	until := tokenizers.NewUntil(p.stops...)
	var pending []decode.Token // whose text is held back: half of a rune, or the beginning of a stop text
	err = s.submit(ctx, m, r, func(t decode.Token) error {
		var text string
		if t.ID >= 0 {
			count++
			if !slices.Contains(ends, t.ID) {
				text = stream.Push(t.ID)
				pending = append(pending, t)
			}
		}
		if t.Finish != "" {
			text += stream.Flush()
		}
		out := piece{finish: string(t.Finish)}
		var stopped bool
		if out.text, stopped = until.Push(text); stopped {
			out.finish = string(decode.Stopped)
		} else if t.Finish != "" {
			out.text += until.Flush()
		}
		if out.text == "" && out.finish == "" {
			return nil
		}
		out.tokens, pending = pending, nil
		if err := emit(out); err != nil {
			return err
		}
		if out.finish != "" {
			return decode.ErrDone
		}
		return nil
	})
	if errors.Is(err, decode.ErrDone) {
		err = nil
	}
	return count, err
}

// room checks a prompt and how much is to be written; absent, that is what the context has room for, or preset.
func (m *served) room(field string, prompt []int, tokens *int, preset int) (int, error) {
	if len(prompt) == 0 {
		return 0, badRequest("prompt", "the prompt is empty: a model continues at least one token")
	}
	left := m.context - len(prompt)
	if left < 1 || tokens != nil && *tokens > left {
		want := 1
		if tokens != nil {
			want = *tokens
		}
		return 0, &Error{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: field,
			Message: fmt.Sprintf("the prompt has %d tokens and %d are to follow; the context has room for %d", len(prompt), want, m.context)}
	}
	if tokens == nil {
		if preset > 0 {
			return min(preset, left), nil
		}
		return left, nil
	}
	if *tokens < 1 {
		return 0, badRequest(field, "%s = %d; want at least 1", field, *tokens)
	}
	return *tokens, nil
}

// encode is the tokens of a prompt, which begins as the model's texts do.
func (m *served) encode(text string) ([]int, error) {
	if !utf8.ValidString(text) {
		return nil, badRequest("prompt", "the prompt is no valid UTF-8")
	}
	if err := m.length("prompt", text); err != nil {
		return nil, err
	}
	t := m.writer.Tokenizer()
	ids, err := t.Encode(text)
	if err != nil {
		return nil, badRequest("prompt", "the prompt: %v", err)
	}
	return tokenizers.FrameOf(t).Begin(ids), nil
}

// shortText is up to how many bytes a text is read without asking whether its tokens can have room.
const shortText = 1 << 16

// length refuses a text that is too long whatever its tokens are: to read all of it would take seconds.
func (m *served) length(field, text string) error {
	if len(text) <= shortText {
		return nil
	}
	if most := m.context * m.vocabulary().Longest(); len(text) > most {
		return &Error{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: field,
			Message: fmt.Sprintf("a text of %d bytes; the context has room for %d tokens, which are %d bytes at most", len(text), m.context, most)}
	}
	return nil
}

// promptLogprobs are those of the tokens of a prompt, but the first, by a pass over all of it.
func (m *served) promptLogprobs(ctx context.Context, prompt []int, n int) ([]decode.Token, error) {
	m.scoring.Lock()
	defer m.scoring.Unlock()
	out := make([]decode.Token, len(prompt))
	err := m.Model.Model.Do(ctx, func(s *model.Session) error {
		length := 16
		for length < len(prompt) {
			length *= 2 // few programs; what follows a token does not change its scores
		}
		length = min(length, max(len(prompt), m.context))
		p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: length}, "logits")
		if err != nil {
			return err
		}
		tokens := make([]int, length)
		copy(tokens, prompt)
		p.Feed(map[string][]int{"tokens": tokens})
		if err := p.Run(); err != nil {
			return err
		}
		logits := p.Output("logits")
		row, wide := make([]float32, logits.Width), make([]float64, logits.Width)
		for i, id := range prompt {
			if out[i].ID = id; i > 0 {
				for j, x := range logits.Row(row, i-1) {
					wide[j] = float64(x)
				}
				out[i].Logprob, out[i].Likely = decode.Logprobs(wide, id, max(1, n))
			}
		}
		return nil
	})
	return out, err
}
