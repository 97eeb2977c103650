package train

import (
	"context"
	"fmt"
	"math"

	"sparrow/data"
	"sparrow/internal/rng"
	"sparrow/model"
)

// minMaskedLen is the shortest sequence of a masked language model: the two special tokens around it and a few words.
const minMaskedLen = 8

// masked is the task of a masked language model (Devlin et al. 2018, section 3.1): 15% of the tokens of a text from all
// others. Of those, 80% are replaced by [MASK], 10% by a random token and 10% are left as they are. The first token of a
// sequence is replaced by [CLS] and its last by [SEP].
type masked struct {
	*language
	special data.SpecialIDs
	feed    *masking
}

func openMasked(ctx context.Context, cfg Config, from *kept) (*masked, error) {
	l, err := openLanguage(ctx, cfg, from)
	if err != nil {
		return nil, err
	}
	m := &masked{language: l}
	m.special, err = maskedSpecials(l.dataset.Tokenizer)
	return m, err
}

// maskedSpecials are the special tokens that a masked language model needs.
func maskedSpecials(tokenizer data.Tokenizer) (data.SpecialIDs, error) {
	s := data.Specials(tokenizer)
	if s.Start < 0 || s.Mask < 0 {
		return s, fmt.Errorf("[data] tokenizer = %q has no [CLS], [SEP] and [MASK], which a masked language model needs; want \"wordpiece\", or a tokenizer.json or vocab.txt of BERT's kind", tokenizer.Kind())
	}
	return s, nil
}

func (m *masked) begin(s *model.Session, program func(batch, seqLen int) (*model.Program, error)) error {
	m.feed = newMasking(m.cfg.Train.BatchSize, m.cfg.Data.SeqLen, m.dataset.Tokenizer.VocabSize(), m.special)
	return m.language.begin(s, program)
}

// next masks by the place of each sequence in the data, so that a resumed run masks the same tokens.
func (m *masked) next() (*model.Program, int, error) {
	p, err := m.build()
	if err != nil {
		return nil, 0, err
	}
	at := m.loader.Cursor()
	m.loader.Next(m.inputs, m.targets)
	m.feed.reset(m.inputs)
	for row := range p.Batch {
		m.feed.hide(row, p.SeqLen, rng.New(m.cfg.Seed, fmt.Sprintf("mask/%d", at.Epoch), uint64(at.Position+row)<<32))
	}
	p.FeedMasked(m.feed.Masked)
	return p, m.feed.count, nil
}

func (m *masked) evaluate(ctx context.Context, s *model.Session, after func(done, total int, loss float64)) (Score, error) {
	return evaluateMasked(ctx, s, m.dataset, m.cfg, after)
}

func (m *masked) finish(context.Context, *model.Session, *Result) error { return nil }

// evaluateMasked measures the loss of masked tokens in [eval] tokens tokens of the validation split, each time the same.
func evaluateMasked(ctx context.Context, s *model.Session, d *data.Dataset, cfg Config, after func(done, total int, loss float64)) (Score, error) {
	batch, seqLen := cfg.Train.BatchSize, cfg.Data.SeqLen
	special, err := maskedSpecials(d.Tokenizer)
	if err != nil {
		return Score{}, err
	}
	set, err := data.EvalBatches(d.Validation, seqLen, batch, cfg.Eval.Tokens)
	if err != nil {
		return Score{}, err
	}
	program, err := s.Score(batch, seqLen)
	if err != nil {
		return Score{}, err
	}
	feed := newMasking(batch, seqLen, d.Tokenizer.VocabSize(), special)
	inputs, targets := make([]int, batch*seqLen), make([]int, batch*seqLen)
	var sum float64
	count := 0
	for i := range set.Batches() {
		if err := ctx.Err(); err != nil {
			return Score{}, err
		}
		set.Batch(i, inputs, targets)
		feed.reset(inputs)
		for row := range batch {
			n := 0
			for n < seqLen && targets[row*seqLen+n] != data.IgnoredTarget {
				n++
			}
			feed.hide(row, n, rng.New(0, "mask/validation", uint64(i*batch+row)<<32))
		}
		program.FeedMasked(feed.Masked)
		if err := program.Run(); err != nil {
			return Score{}, err
		}
		sum += program.Loss()
		count += feed.count
		if after != nil {
			after(i+1, set.Batches(), sum/float64(max(count, 1)))
		}
	}
	score := Score{Loss: sum / float64(max(count, 1)), Tokens: count}
	score.Perplexity = math.Exp(score.Loss)
	switch {
	case count == 0:
		return score, fmt.Errorf("train: no validation text is long enough to mask a token")
	case notFinite(score.Loss):
		return score, fmt.Errorf("train: the loss on the validation text is %v", score.Loss)
	}
	return score, nil
}

// masking hides tokens of a batch of sequences.
type masking struct {
	model.Masked
	count int // tokens to predict

	seqLen, vocab int
	special       data.SpecialIDs
	order         []int // scratch
}

func newMasking(batch, seqLen, vocab int, special data.SpecialIDs) *masking {
	n := batch * model.MaskedTokens(seqLen)
	return &masking{
		Masked: model.Masked{Lengths: make([]int, batch), Rows: make([]int, n), Targets: make([]int, n)},
		seqLen: seqLen, vocab: vocab, special: special,
	}
}

// reset takes over the tokens of a batch, none of them hidden.
func (m *masking) reset(tokens []int) {
	m.Tokens, m.count = tokens, 0
	for i := range m.Targets {
		m.Rows[i], m.Targets[i] = 0, data.IgnoredTarget
	}
}

// hide prepares a row of which n tokens count. It draws the places from all but the first and the last without
// replacement.
func (m *masking) hide(row, n int, r *rng.Source) {
	m.Lengths[row] = n
	if n < 3 {
		return
	}
	tokens := m.Tokens[row*m.seqLen:][:n]
	tokens[0], tokens[n-1] = m.special.Start, m.special.Separator
	m.order = m.order[:0]
	for i := 1; i < n-1; i++ {
		m.order = append(m.order, i)
	}
	slot := row * model.MaskedTokens(m.seqLen)
	for i := range min(model.MaskedTokens(n), len(m.order)) {
		j := i + r.Intn(len(m.order)-i)
		m.order[i], m.order[j] = m.order[j], m.order[i]
		at := m.order[i]
		m.Rows[slot+i], m.Targets[slot+i] = row*m.seqLen+at, tokens[at]
		switch u := r.Float64(); {
		case u < 0.8:
			tokens[at] = m.special.Mask
		case u < 0.9:
			tokens[at] = r.Intn(m.vocab)
		}
		m.count++
	}
}
