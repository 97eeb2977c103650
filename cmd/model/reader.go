package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/task/discovery"
	"sparrow/task/texts/page"
)

// reader makes predictions of lines: of texts, of two with a tab between them, or of the images that they name.
type reader struct {
	l       *saved.Model
	predict task.Predictor
	domain  string // of all lines; "": not known
	done    int    // lines so far, for messages

	attend    task.Attender // nil: attention is not asked for
	predicted []task.Prediction
	seen      []task.Attention
}

// newReader is for a model that was asked for as path, with its attention if show says so.
func newReader(l *saved.Model, show bool, path string) (*reader, error) {
	each := l.Task.Facts().Each
	p, ok := l.Task.(task.Predictor)
	if !ok {
		return nil, cli.Usagef("%s holds a language model, which labels nothing", l.Dir)
	}
	r := &reader{l: l, predict: p}
	if !show {
		return r, nil
	}
	if r.attend, ok = l.Task.(task.Attender); !ok {
		return nil, cli.Usagef("--attention is of words, and %s holds a model of %ss; see what it looks at by: %s", l.Dir, each, shell.Command("model", "explain", path, "IMAGE", "-o", "FILE"))
	}
	return r, nil
}

// read predicts each line. Errors say which one they are about.
func (r *reader) read(ctx context.Context, lines []string) ([]task.Prediction, error) {
	inputs := make([]task.Input, len(lines))
	for i, line := range lines {
		switch r.predict.Reads() {
		case task.OneImage:
			content, err := data.ReadFile(line)
			if err != nil {
				return nil, err
			}
			inputs[i].Image = bytes.NewReader(content)
		case task.TwoTexts:
			inputs[i].Texts = strings.Split(line, "\t")
			if n := len(inputs[i].Texts); n != 2 {
				return nil, fmt.Errorf("text %d: %q has %d tabs; the model labels pairs of texts, want one tab between the two", r.done+i+1, line, n-1)
			}
		default:
			inputs[i].Texts = []string{line}
		}
	}
	if _, ok := r.predict.(*discovery.Task); r.domain != "" && !ok {
		return nil, fmt.Errorf("--domain %s: the model's labels are not classes that were discovered in several domains; leave the flag out", r.domain)
	}
	for i := range inputs {
		inputs[i].Domain = r.domain
	}
	predictions, err := r.predict.Predict(ctx, r.l.Session, inputs)
	if err == nil && r.attend != nil {
		var seen []task.Attention
		seen, err = r.attend.Attend(ctx, r.l.Session, inputs)
		r.predicted, r.seen = append(r.predicted, predictions...), append(r.seen, seen...)
	}
	var about *task.InputError
	switch {
	case errors.As(err, &about) && r.predict.Reads() == task.OneImage:
		return nil, fmt.Errorf("%s: %w", lines[about.Index], about.Err)
	case about != nil:
		return nil, fmt.Errorf("text %d: %w", r.done+about.Index+1, about.Err)
	}
	r.done += len(lines)
	return predictions, err
}

// print prints what was predicted of a line.
func (r *reader) print(w io.Writer, line string, x task.Prediction, asJSON bool) error {
	names, likeliest := r.predict.Names(), x[0]
	text, image := line, ""
	if r.predict.Reads() == task.OneImage {
		text, image = "", line
	}
	switch value := len(names) == 1; {
	case asJSON && value:
		return json.NewEncoder(w).Encode(struct {
			Score float64 `json:"score"`
			Text  string  `json:"text"`
		}{likeliest.X, line})
	case asJSON:
		return json.NewEncoder(w).Encode(struct {
			Label         string    `json:"label"`
			Probability   float64   `json:"probability"`
			Labels        []string  `json:"labels"`
			Probabilities []float64 `json:"probabilities"`
			Text          string    `json:"text,omitempty"`
			Image         string    `json:"image,omitempty"`
		}{likeliest.Name, likeliest.X, names, inOrder(x, names), text, image})
	case value:
		_, err := fmt.Fprintf(w, "%.4f\t%s\n", likeliest.X, line)
		return err
	}
	_, err := fmt.Fprintf(w, "%s\t%.4f\t%s\n", likeliest.Name, likeliest.X, line)
	return err
}

// inOrder are the values of a prediction in the order of names.
func inOrder(x task.Prediction, names []string) []float64 {
	out := make([]float64, len(names))
	for _, v := range x {
		out[slices.Index(names, v.Name)] = v.X
	}
	return out
}

// writePage writes the attention of all texts to a file.
func (r *reader) writePage(path string) error {
	var b bytes.Buffer
	if err := page.Write(&b, "Attention of "+r.l.Dir, r.predicted, r.seen); err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(path, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "attention of %d texts: %s\n", len(r.seen), path)
	return nil
}
