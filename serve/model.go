package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"sparrow/data/chat"
	"sparrow/data/tokenizers"
	"sparrow/internal/machine"
	"sparrow/model/decode"
	"sparrow/serve/constrain"
	"sparrow/task"
)

// pace is how many steps those that write make between two chunks of a long prompt: with it one step in 25 takes longer, so that the 95th
// percentile between tokens is that of a step.
const pace = 24

// served is a model with what it takes to answer for it.
type served struct {
	Model
	context int // tokens of a slot

	// These a model has that continues texts.
	writer   task.Generator
	loop     *decode.Loop
	drafter  *decode.Drafter // nil: none
	template *chat.Template  // nil: it has none
	specials chat.Tokens
	scoring  sync.Mutex // of the log-probabilities of prompts, which take memory

	words struct { // for texts that must have a shape
		once sync.Once
		all  *constrain.Vocabulary
	}
	shapes shapes

	tokenizer tokenizers.Tokenizer // nil: the model reads no texts
	embedder  task.Embedder
	ranker    task.Ranker
	predictor task.Predictor

	recommender task.Recommender
}

// serve prepares one model.
func (s *Server) serve(m Model) (*served, error) {
	x := &served{Model: m}
	x.embedder, _ = m.Model.Task.(task.Embedder)
	x.recommender, _ = m.Model.Task.(task.Recommender)
	if r, ok := m.Model.Task.(task.Ranker); ok && r.Ranks() {
		x.ranker = r
	}
	if text, err := m.Model.Files.File("tokenizer.json"); err == nil {
		if x.tokenizer, err = tokenizers.Load(text); err != nil {
			return nil, err
		}
	}
	if p, ok := m.Model.Task.(task.Predictor); ok && p.Reads() != task.OneImage {
		x.predictor = p
	}
	writer, ok := m.Model.Task.(task.Generator)
	if !ok {
		if x.embedder == nil && x.predictor == nil && x.recommender == nil {
			return nil, errors.New("it continues no text, labels none, gives none a vector and recommends nothing")
		}
		return x, nil
	}
	x.writer = writer
	if x.context = s.o.Context; x.context == 0 {
		x.context = min(m.Model.Dims.Context, defaultContext)
	}
	if n := m.Model.Config.Longest(); n > 0 {
		x.context = min(x.context, n)
	}
	perToken, err := m.Model.Session.CacheBytesPerToken()
	if err != nil {
		return nil, err
	}
	if err := machine.CacheFits(float64(s.o.Slots)*float64(x.context), perToken); err != nil {
		return nil, err
	}
	if m.Draft != nil {
		cost := float64(m.Draft.Session.Store().Bytes()) / float64(m.Model.Session.Store().Bytes()) // a step's time is that of reading the weights
		if x.drafter, err = decode.NewDrafter(m.Draft.Session.Decoding(1, x.context), cost); err != nil {
			return nil, fmt.Errorf("the draft: %w", err)
		}
		s.metrics.guesses(m.Name, x.drafter)
		if err := x.drafter.Fits(m.Model.Session); err != nil {
			return nil, err
		}
	}
	batch, err := decode.New(m.Model.Session.Decoding(s.o.Slots, x.context), decode.Options{PrefixBytes: s.o.PrefixBytes, Pace: pace})
	if err != nil {
		return nil, err
	}
	x.loop = decode.NewLoop(batch, s.o.Queue+s.o.Slots)
	return x, x.readTemplate()
}

// readTemplate reads the chat template and the special tokens that it names.
func (m *served) readTemplate() error {
	text, err := m.file("chat_template.jinja")
	if err != nil {
		return nil // it has none
	}
	if m.template, err = chat.Parse(string(text)); err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if text, err := m.file("tokenizer_config.json"); err == nil {
		if err := json.Unmarshal(text, &config); err != nil {
			return err
		}
	}
	var generation struct {
		BOS *int `json:"bos_token_id"`
	}
	if text, err := m.file("generation_config.json"); err == nil {
		_ = json.Unmarshal(text, &generation) // several begin tokens are of no use here
	}
	token := func(key string) string {
		var plain string
		var added struct{ Content string }
		if json.Unmarshal(config[key], &plain) == nil {
			return plain
		}
		_ = json.Unmarshal(config[key], &added) // null or absent: none
		return added.Content
	}
	m.specials = chat.Tokens{BOS: token("bos_token"), EOS: token("eos_token"), Pad: token("pad_token"), Unknown: token("unk_token")}
	tokenizer := m.writer.Tokenizer()
	if id := generation.BOS; m.specials.BOS == "" && id != nil && *id >= 0 && *id < tokenizer.VocabSize() {
		m.specials.BOS = tokenizer.Decode([]int{*id})
	}
	if ends := m.writer.Ends(); m.specials.EOS == "" && len(ends) > 0 {
		m.specials.EOS = tokenizer.Decode(ends[:1])
	}
	return nil
}

// file is one of the model's, or of an adapter that lacks it its base's.
func (m *served) file(name string) ([]byte, error) {
	text, err := m.Model.Model.Files.File(name)
	if base := m.Model.Model.Base; err != nil && base != nil {
		return base.File(name)
	}
	return text, err
}

func (m *served) close() {
	if m.loop != nil {
		m.loop.Close()
	}
}

// job is a sequence that waits or runs.
type job struct {
	model  *served
	begun  bool // of the server's mutex
	cancel context.CancelCauseFunc
}

// submit queues a request and yields its tokens. A request for which there is no room is an error, and so is one that the end
// of the server ends; errCut is not, for which the last token has the reason.
func (s *Server) submit(ctx context.Context, m *served, r decode.Request, emit func(decode.Token) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	j := &job{model: m, cancel: cancel}
	s.mu.Lock()
	err := s.admit(j)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.jobs, j)
		s.idle.Broadcast()
	}()
	arrived := time.Now()
	if m.drafter != nil {
		guess := m.drafter.Draft(r.Prompt)
		r.Draft = func(written []int) []int {
			s.mu.Lock()
			_, running := s.count(m)
			s.mu.Unlock()
			if running > 1 { // beside others a step costs as much as the guesses save
				return nil
			}
			return guess(written)
		}
	}
	r.Begun = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		j.begun = true
		s.metrics.queued.Observe(time.Since(arrived).Seconds())
	}
	last := arrived
	first := true
	for t, err := range m.loop.Submit(ctx, r) {
		if cause := context.Cause(ctx); cause != nil && err != nil {
			if errors.Is(cause, errCut) {
				return emit(decode.Token{ID: -1, Finish: decode.Length})
			}
			return cause
		}
		if err != nil {
			return err
		}
		now := time.Now()
		if first {
			s.metrics.firstToken.Observe(now.Sub(last).Seconds())
		} else {
			s.metrics.nextToken.Observe(now.Sub(last).Seconds())
		}
		first, last = false, now
		s.metrics.written.Inc()
		if err := emit(t); err != nil {
			return err
		}
	}
	return nil
}

// admit notes a job, if there is room for it. The caller holds mu.
func (s *Server) admit(j *job) error {
	waiting, running := s.count(j.model)
	switch {
	case s.draining:
		return errDraining
	case waiting >= s.o.Queue+max(0, s.o.Slots-running):
		return errBusy
	}
	s.jobs[j] = struct{}{}
	return nil
}

// count is how many sequences of a model wait for a slot, and how many have one. The caller holds mu.
func (s *Server) count(m *served) (waiting, running int) {
	for j := range s.jobs {
		switch {
		case j.model != m:
		case j.begun:
			running++
		default:
			waiting++
		}
	}
	return waiting, running
}

// tokenText is the text of a token in the middle of a text.
func tokenText(t tokenizers.Tokenizer, id int) string {
	one := t.Decode([]int{id})
	if two := t.Decode([]int{id, id}); len(two) > len(one) && two[:len(one)] == one {
		return two[len(one):]
	}
	return one
}
