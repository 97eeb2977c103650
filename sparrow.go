package sparrow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"sparrow/metrics"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// ErrClosed is what a closed model answers.
var ErrClosed = saved.ErrClosed

// ErrCannot marks what a model is not made for, such as a classifier that is asked to continue a text.
var ErrCannot = errors.New("sparrow: the model cannot do this")

// Options say how a model is opened. The zero value opens the best checkpoint of a run, or a checkpoint.
type Options struct {
	Newest  bool   // of a run, its newest checkpoint in place of its best
	Base    string // of an adapter: the run or checkpoint it was trained on; "": where that was
	Float32 bool   // weights that the checkpoint holds in 8 or 4 bits are unpacked, which is more memory
	Int8    bool   // products with weights are of integers of 8 bits: faster, with weights and what they multiply rounded to these
}

// session is how the model computes.
func (o Options) session() model.Options { return model.Options{Packed: !o.Float32, Int8: o.Int8} }

// Model is a trained model in memory, which is its own: changing the folder it came from changes nothing.
type Model struct{ m *saved.Model }

// Open reads the model of a run or of a checkpoint. Errors say what the folder lacks.
func Open(ctx context.Context, path string, o Options) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, err := saved.OpenOn(path, o.Base, o.Newest, o.session())
	if err != nil {
		return nil, err
	}
	return &Model{m}, nil
}

// OpenFS reads the model of a checkpoint at the root of a file system, such as one that a program carries by go:embed ([fs.Sub] takes
// a folder of it). [Options].Newest and Base are for folders of the system. An adapter is an error: merge it first.
func OpenFS(ctx context.Context, fsys fs.FS, o Options) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Newest || o.Base != "" {
		return nil, errors.New("sparrow: Newest and Base are not for a file system, whose root is a checkpoint")
	}
	m, err := saved.OpenFS(fsys, "checkpoint", o.session())
	if err != nil {
		return nil, err
	}
	return &Model{m}, nil
}

// Close waits for calls under way; later ones return [ErrClosed].
func (m *Model) Close() error { return m.m.Close() }

// Input is what a model answers: one text, two for a model of pairs, or an image.
type Input = task.Input

// Text is the input of a model that reads texts.
func Text(texts ...string) Input { return Input{Texts: texts} }

// Image is the input of a model that looks at images: a PNG or JPEG.
func Image(r io.Reader) Input { return Input{Image: r} }

// Prediction is what a model says of an input: of classes all probabilities, the likeliest first; of a regression its score.
// The caller owns it.
type Prediction = task.Prediction

// Value is a named number.
type Value = metrics.Value

// Predict labels inputs. An error about one of them is an *[InputError] that has its index.
func (m *Model) Predict(ctx context.Context, in ...Input) (out []Prediction, err error) {
	p, ok := m.m.Task.(task.Predictor)
	if !ok {
		return nil, fmt.Errorf("%w: it labels nothing", ErrCannot)
	}
	err = m.m.Do(ctx, func(s *model.Session) error {
		out, err = p.Predict(ctx, s, in)
		return err
	})
	return out, err
}

// InputError is about one of several inputs.
type InputError = task.InputError
