package masked

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/data"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/corpus"
)

// Task is the task of a masked language model (Devlin et al. 2018, section 3.1): 15% of the tokens of a text from all
// others. Of those, 80% are replaced by [MASK], 10% by a random token and 10% are left as they are. The first token of a
// sequence is replaced by [CLS] and its last by [SEP].
type Task struct{ corpus.Corpus }

// Fits says why a config is not for a masked language model: it wants text without labels and a network that sees what follows.
func Fits(c recipe.Config) error {
	body, err := task.Fit[model.Sequence, text.Source](c, "text without labels")
	switch n := c.Data.SeqLen(); {
	case err != nil:
		return err
	case body.Causal():
		return &task.Misfit{Key: task.NetworkKey, Value: c.Model.Name, Message: "sees nothing that follows a token"}
	case n < minSeqLen && !c.Data.IsNone():
		return &task.Misfit{Key: "data.seq_len", Value: n, Message: fmt.Sprintf("is too short for a masked language model; want at least %d", minSeqLen)}
	}
	return task.Offer{Metrics: corpus.Measured}.Check(c)
}

// minSeqLen is the shortest sequence: the two special tokens around it and a few words.
const minSeqLen = 8

// Open opens the task of a config, with what a checkpoint keeps of its data if files is not nil.
func Open(cfg recipe.Config, files task.Files) (*Task, error) {
	c, err := corpus.Open(cfg, files)
	return &Task{c}, err
}

// Read implements task.Task.
func (m *Task) Read(ctx context.Context) error {
	if err := m.Corpus.Read(ctx); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return task.Refuse(err)
	}
	return nil
}

// Check implements Checker.
func (m *Task) Check() error {
	if m.Tokens == nil {
		return nil
	}
	_, err := maskedSpecials(m.Tokens)
	return err
}

// Share implements Sharer.
func (m *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok {
		m.TakeOver(&o.Corpus)
	}
}

// maskedSpecials are the special tokens that a masked language model needs.
func maskedSpecials(tokenizer tokenizers.Tokenizer) (tokenizers.SpecialIDs, error) {
	s := tokenizers.Specials(tokenizer)
	if s.Start < 0 || s.Mask < 0 {
		return s, fmt.Errorf("[data] tokenizer = %q has no [CLS], [SEP] and [MASK], which a masked language model needs; want \"wordpiece\", or a tokenizer.json or vocab.txt of BERT's kind", tokenizer.Kind())
	}
	return s, nil
}

// Batches masks by the place of each sequence in the data, so that a resumed run masks the same tokens and an evaluation does
// each time.
func (m *Task) Batches(ctx context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	if f.File == "" {
		if err := m.Read(ctx); err != nil {
			return nil, err
		}
	}
	special, err := maskedSpecials(m.Tokens)
	if err != nil {
		return nil, err
	}
	n := m.Config.Data.SeqLen()
	f.Rows = cmp.Or(f.Rows, m.Config.Train.BatchSize)
	hidden := newMasking(f.Rows, n, m.Tokens.VocabSize(), special)
	return m.Stream(ctx, s, f, func(p *model.Program, w *corpus.Windows) int {
		hidden.reset(w.Inputs)
		seed, purpose := f.Seed, fmt.Sprintf("mask/%d", w.At.Epoch)
		if w.Order {
			seed, purpose = 0, "mask/validation"
		}
		for row := range f.Rows {
			long := n
			if i := slices.Index(w.Targets[row*n:(row+1)*n], data.IgnoredTarget); i >= 0 {
				long = i
			}
			hidden.hide(row, long, rng.New(seed, purpose, uint64(w.At.Position+row)<<32))
		}
		hidden.feed(p)
		return hidden.count
	})
}

// Evaluate measures the loss of masked tokens.
func (m *Task) Evaluate(ctx context.Context, s *model.Session, x task.Measure) (task.Score, error) {
	batches, err := m.Batches(ctx, s, m.Feed(x))
	if err != nil {
		return task.Score{}, err
	}
	loss, n, err := task.Evaluate(ctx, batches, "validation text", x, nil)
	if n == 0 {
		if err == nil {
			err = fmt.Errorf("train: no validation text is long enough to mask a token")
		}
		return task.Score{}, err
	}
	return task.NewScore(m, "tokens", n, loss, math.Exp(loss)), err
}

// masking hides tokens of a batch of sequences.
type masking struct {
	Tokens  []int // [B*T], some of them hidden
	Lengths []int // [B], tokens that count
	Rows    []int // [M], places of the tokens to predict in Tokens
	Targets []int // [M], what stood there; data.IgnoredTarget: nothing to predict
	count   int   // tokens to predict

	seqLen, vocab int
	special       tokenizers.SpecialIDs
	order         []int // scratch
}

func newMasking(batch, seqLen, vocab int, special tokenizers.SpecialIDs) *masking {
	n := batch * model.MaskedTokens(seqLen)
	return &masking{
		Lengths: make([]int, batch), Rows: make([]int, n), Targets: make([]int, n),
		seqLen: seqLen, vocab: vocab, special: special,
	}
}

// feed gives the batch to a program.
func (m *masking) feed(p *model.Program) {
	p.Feed(map[string][]int{"tokens": m.Tokens, "lengths": m.Lengths, "rows": m.Rows, "targets": m.Targets})
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
