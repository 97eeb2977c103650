package train

import (
	"context"

	"sparrow/data"
	"sparrow/model"
)

// task is what a run trains its network for, over its data: the next token of a text. The loop asks it for
// micro-batches and measurements and knows no more of either.
type task interface {
	// about tells what does not change.
	about() about

	// begin prepares to train the session's network.
	begin(s *model.Session) error

	// next feeds the next micro-batch to the program of its shape and returns that and the number of its targets.
	next() (p *model.Program, targets int, err error)

	// cursor is the place of the next micro-batch, seek continues there.
	cursor() data.Cursor
	seek(data.Cursor) error

	// evaluate measures a network on the validation split. after, if not nil, is told of every batch and of the mean
	// loss so far.
	evaluate(ctx context.Context, s *model.Session, after func(done, total int, loss float64)) (Score, error)

	// finish adds to the result of a run what its network can be tried on.
	finish(ctx context.Context, s *model.Session, r *Result) error
}

// about is what a run needs to know of its data.
type about struct {
	data      string // one line
	sha256    string
	bytes     int // of text that is kept in memory
	tokenizer data.Tokenizer
	dims      model.Dims        // of the network
	seqLen    int               // of the longest training program
	lengths   int               // how many lengths training programs have
	files     map[string][]byte // what a checkpoint keeps of it
	unit      string            // what is counted: "tokens"
}

// openTask opens the data of a config, with the given tokenizer if it is not nil.
func openTask(ctx context.Context, cfg Config, tokenizer data.Tokenizer) (task, error) {
	return openLanguage(ctx, cfg, tokenizer)
}

// lookAtTask is what openTask's task tells, without reading the data where that can be avoided: what cannot be known
// then is empty.
func lookAtTask(ctx context.Context, cfg Config) (about, error) { return lookAtLanguage(ctx, cfg) }
