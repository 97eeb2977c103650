package train

import (
	"context"
	"encoding/json"
	"fmt"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/model"
)

// task is what a run trains its network for, over its data: the next token of a text, or the label of a text or an image.
// The loop asks it for micro-batches and measurements and knows no more of either.
type task interface {
	// about tells what does not change.
	about() about

	// begin prepares to run the session's network, by programs of that kind for each shape.
	begin(s *model.Session, program func(batch, seqLen int) (*model.Program, error)) error

	// next feeds the next micro-batch to the program of its shape and returns that and the number of its targets.
	next() (p *model.Program, targets int, err error)

	// lengths are how many tokens of each row of that micro-batch count; nil: all.
	lengths() []int

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
	unit      string            // what is counted: "tokens" or "examples"
}

// kept is what a checkpoint keeps of its data, for whoever reads other data with it.
type kept struct {
	tokenizer data.Tokenizer // nil: of images
	labels    *Labels        // nil: of a language model
	images    *ImageFormat   // nil: of a network that reads text
	readings  *Readings      // what has been read so; nil: it is read each time
}

// readKept reads a checkpoint's tokenizer.json, or of images images.json, and, if its config has labelled data, labels.json.
func readKept(c *checkpoints.Checkpoint, cfg Config) (*kept, error) {
	k := &kept{}
	var err error
	if cfg.Data.IsImages() {
		k.images, err = readImageFormat(c)
	} else {
		k.tokenizer, err = readTokenizer(c)
	}
	if err != nil || !cfg.Data.IsLabelled() && !cfg.Data.IsImages() {
		return k, err
	}
	text, err := c.File("labels.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &k.labels); err != nil || k.labels == nil || k.labels.Regression == (len(k.labels.Names) > 0) || k.images != nil && k.labels.Regression {
		return nil, fmt.Errorf("%w: %s/labels.json: want the names of the classes, or a regression: %w", checkpoints.ErrCheckpoint, c.Dir(), err)
	}
	return k, nil
}

func readTokenizer(c *checkpoints.Checkpoint) (data.Tokenizer, error) {
	text, err := c.File("tokenizer.json")
	if err != nil {
		return nil, err
	}
	tokenizer, err := data.LoadTokenizer(text)
	if err != nil {
		return nil, fmt.Errorf("train: %s/tokenizer.json: %w", c.Dir(), err)
	}
	return tokenizer, nil
}

// dims are the sizes of the network that read such data.
func (k *kept) dims(cfg Config) model.Dims {
	if k.images != nil {
		return k.images.dims(*k.labels)
	}
	if k.labels == nil {
		return cfg.dims(k.tokenizer.VocabSize())
	}
	return k.labels.dims(cfg, k.tokenizer.VocabSize())
}

// openTask opens the data of a config, read as a checkpoint did if from is not nil.
func openTask(ctx context.Context, cfg Config, from *kept) (task, error) {
	if cfg.Data.IsImages() {
		return openImages(ctx, cfg, from)
	}
	if cfg.Data.IsLabelled() {
		return openLabelled(ctx, cfg, from)
	}
	if cfg.masked() {
		return openMasked(ctx, cfg, from)
	}
	return openLanguage(ctx, cfg, from)
}

// lookAtTask is what openTask's task tells, without reading the data where that can be avoided: what cannot be known
// then is empty.
func lookAtTask(ctx context.Context, cfg Config) (about, error) {
	if !cfg.Data.IsLabelled() && !cfg.Data.IsImages() {
		return lookAtLanguage(ctx, cfg)
	}
	t, err := openTask(ctx, cfg, nil)
	if err != nil {
		return about{}, err
	}
	return t.about(), nil
}
