package text

import (
	"fmt"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/internal/rng"
)

// LoaderConfig says how a Loader cuts and orders a token stream.
type LoaderConfig struct {
	SeqLen    int    // T, tokens a sequence, at least 1
	BatchSize int    // B, sequences a batch, at least 1
	Seed      uint64 // fixes the order; equal seeds give equal batches
}

// Loader hands out training batches: in each epoch every window of the stream once, in a pseudo-random order.
//
// A window is T+1 successive tokens: T inputs and, one further, T targets. Windows start T apart, so that each token is
// a target once an epoch (but for a part of a window at either end), and the first one starts at an offset that changes
// with the epoch, so that the same text is not always cut at the same places.
//
// Order and offset are functions of (seed, epoch), so a Loader at a Cursor is the same whether it walked there or
// was put there. A Loader is for one goroutine.
type Loader struct {
	tokens *tokenizers.Tokens
	cfg    LoaderConfig
	cursor data.Cursor

	// The current epoch's:
	offset  int
	windows int
	order   *data.Permutation

	window []int // T+1 tokens
}

// NewLoader returns a Loader at the start of epoch 0. It fails when the stream is shorter than one window or a size is
// not positive.
func NewLoader(tokens *tokenizers.Tokens, cfg LoaderConfig) (*Loader, error) {
	switch {
	case cfg.SeqLen < 1:
		return nil, fmt.Errorf("data: loader: sequence length %d, want at least 1", cfg.SeqLen)
	case cfg.BatchSize < 1:
		return nil, fmt.Errorf("data: loader: batch size %d, want at least 1", cfg.BatchSize)
	case tokens.Len() < cfg.SeqLen+1:
		return nil, fmt.Errorf("data: loader: corpus of %d tokens is shorter than one window of seq_len + 1 = %d tokens",
			tokens.Len(), cfg.SeqLen+1)
	}
	l := &Loader{tokens: tokens, cfg: cfg, window: make([]int, cfg.SeqLen+1)}
	l.startEpoch(0)
	return l, nil
}

// startEpoch draws the offset and the order of an epoch.
func (l *Loader) startEpoch(epoch int) {
	last := l.tokens.Len() - 1 // the number of targets
	// The offset stays small enough to leave one whole window.
	offsets := min(l.cfg.SeqLen, last-l.cfg.SeqLen+1)
	l.offset = rng.New(l.cfg.Seed, "data/offset", uint64(epoch)).Intn(offsets)
	l.windows = (last - l.offset) / l.cfg.SeqLen
	l.order = data.NewPermutation(l.windows, l.cfg.Seed, "data/order", uint64(epoch))
	l.cursor = data.Cursor{Epoch: epoch}
}

// Next fills inputs and targets, each [B, T] in row-major order, with the next B windows and moves the cursor. A batch
// that begins near the end of an epoch continues with the next epoch. The length of each slice must be B*T; anything
// else is a programmer's error and panics.
func (l *Loader) Next(inputs, targets []int) {
	if n := l.cfg.BatchSize * l.cfg.SeqLen; len(inputs) != n || len(targets) != n {
		panic(fmt.Sprintf("data: Loader.Next: %d inputs and %d targets, want %d of each", len(inputs), len(targets), n))
	}
	t := l.cfg.SeqLen
	for row := range l.cfg.BatchSize {
		l.tokens.Copy(l.window, l.nextStart())
		copy(inputs[row*t:(row+1)*t], l.window)
		copy(targets[row*t:(row+1)*t], l.window[1:])
	}
}

// nextStart returns the first token of the window at the cursor and moves the cursor by one window.
func (l *Loader) nextStart() int {
	if l.cursor.Position == l.windows {
		l.startEpoch(l.cursor.Epoch + 1)
	}
	start := l.offset + l.cfg.SeqLen*l.order.At(l.cursor.Position)
	l.cursor.Position++
	return start
}

// Cursor returns the place of the next window. Seek with it, in this process or another, continues with equal batches.
func (l *Loader) Cursor() data.Cursor { return l.cursor }

// Seek moves to a cursor that came from a Loader over the same stream, sequence length and seed. A cursor that no such
// Loader can have is an error and moves nothing.
func (l *Loader) Seek(c data.Cursor) error {
	if c.Epoch < 0 || c.Position < 0 {
		return fmt.Errorf("data: loader: cursor at epoch %d, position %d, want neither negative", c.Epoch, c.Position)
	}
	before := l.cursor
	l.startEpoch(c.Epoch)
	if c.Position > l.windows {
		windows := l.windows
		l.startEpoch(before.Epoch)
		l.cursor = before
		return fmt.Errorf("data: loader: cursor at position %d of epoch %d, which has %d windows of %d tokens; was the checkpoint made from another corpus or seq_len?",
			c.Position, c.Epoch, windows, l.cfg.SeqLen)
	}
	l.cursor = c
	return nil
}
