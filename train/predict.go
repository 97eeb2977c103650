package train

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"sparrow/data"
	"sparrow/model"
)

// Prediction is what a classifier says of one text, of one pair of texts or of one image.
type Prediction struct {
	Text          string    // of an image its path
	Label         string    // the likeliest; "" of a regression
	Probability   float64   // of that label
	Probabilities []float64 // of all labels, in the order of Labels.Names
	Score         float64   // of a regression

	// What Predictor.Show adds.
	Tokens []string    // what the model read
	Heads  [][]float64 // for each head of its attention, the weight of each token; they sum to one
}

// predictBatch is how many texts a Predictor labels at once.
const predictBatch = 16

// Predictor labels texts with a loaded model. It belongs to one goroutine.
type Predictor struct {
	// Show asks for the attention in each prediction; the model must have been opened with the tap [model.AttentionTap].
	Show bool

	l       *Loaded
	encoder *data.TextEncoder
	done    int // texts so far, for messages
}

// NewPredictor prepares to label texts, longer ones cut as the model's training data was. A model that does not label
// texts is an error that matches ErrUsage.
func (l *Loaded) NewPredictor() (*Predictor, error) {
	switch {
	case l.Labels == nil:
		return nil, Refusef("%s holds a language model, which labels nothing", l.Dir)
	case l.Images != nil:
		return nil, Refusef("%s holds a classifier of images, which reads no text", l.Dir)
	}
	cfg := l.Config.Data
	cfg.MaxLen = min(cfg.MaxLen, l.Session.Dims().Context)
	e, err := data.NewTextEncoder(l.Tokenizer, cfg)
	return &Predictor{l: l, encoder: e}, err
}

// Split is the texts of one line: of a model of pairs the two beside its tab.
func (p *Predictor) Split(line string) ([]string, error) {
	if !p.l.Labels.Pairs {
		return []string{line}, nil
	}
	texts := strings.Split(line, "\t")
	if len(texts) != 2 {
		return nil, fmt.Errorf("%q has %d tabs; the model labels pairs of texts, want one tab between the two", line, len(texts)-1)
	}
	return texts, nil
}

// Predict labels each line. A text that is not valid UTF-8, or no pair where the model wants one, is an error with its
// number among all texts of the Predictor, from 1; attention that is to be shown and does not exist is an error as well.
func (p *Predictor) Predict(lines []string) ([]Prediction, error) {
	var out []Prediction
	for len(lines) > 0 {
		n := min(predictBatch, len(lines))
		some, err := p.predict(lines[:n])
		if err != nil {
			return nil, err
		}
		out, lines = append(out, some...), lines[n:]
	}
	return out, nil
}

func (p *Predictor) predict(lines []string) ([]Prediction, error) {
	out := make([]Prediction, len(lines))
	examples := make([]data.Example, len(lines))
	longest := 0
	for i, line := range lines {
		texts, err := p.Split(line)
		if err == nil {
			examples[i], err = p.encoder.Encode(texts...)
		}
		if err == nil && p.Show {
			out[i].Tokens, err = p.encoder.Words(texts...)
		}
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", p.done+i+1, err)
		}
		out[i].Text = line
		longest = max(longest, len(examples[i].Tokens))
	}
	program, err := p.program(len(lines), longest)
	if err != nil {
		return nil, err
	}
	program.FeedExamples(padded(examples, program.Batch, program.SeqLen, data.Specials(p.l.Tokenizer).Pad))
	if err := program.Run(); err != nil {
		return nil, err
	}
	logits, width := program.Logits(), p.l.Session.Dims().Outputs()
	for i := range out {
		p.read(&out[i], logits[i*width:(i+1)*width])
		if p.Show {
			if err := out[i].readHeads(program, i); err != nil {
				return nil, err
			}
		}
	}
	p.done += len(lines)
	return out, nil
}

// readHeads takes the attention of row i of the program's last run.
func (x *Prediction) readHeads(program *model.Program, i int) error {
	weights, shape := program.Tap(model.AttentionTap) // [B*T, M]
	if weights == nil {
		return errors.New("this network does not pool words by attention: there are no weights of words to show; want kind = \"lama\" with another pooling than mean")
	}
	heads := shape[1]
	x.Heads = make([][]float64, heads)
	for h := range heads {
		for t := range x.Tokens {
			x.Heads[h] = append(x.Heads[h], weights[(i*program.SeqLen+t)*heads+h])
		}
	}
	return nil
}

// program is one of a few that hold rows texts of length tokens: each one is a graph to build and to keep.
func (p *Predictor) program(rows, length int) (*model.Program, error) {
	const shortest = 16
	n := shortest
	for n < length {
		n *= 2
	}
	if rows > 1 {
		rows = predictBatch
	}
	return p.l.Session.Score(rows, min(n, p.l.Session.Dims().Context))
}

func padded(examples []data.Example, rows, seqLen, pad int) model.Examples {
	x := model.Examples{Tokens: make([]int, rows*seqLen), Types: make([]int, rows*seqLen), Lengths: make([]int, rows), Labels: make([]int, rows)}
	for i := range x.Tokens {
		x.Tokens[i] = pad
	}
	for i := range rows {
		x.Labels[i] = data.IgnoredTarget
	}
	for i, e := range examples {
		copy(x.Tokens[i*seqLen:], e.Tokens)
		copy(x.Types[i*seqLen:], e.Types)
		x.Lengths[i] = len(e.Tokens)
	}
	return x
}

// read turns a row of scores into probabilities.
func (p *Predictor) read(out *Prediction, logits []float64) {
	if p.l.Labels.Regression {
		out.Score = logits[0]
		return
	}
	out.choose(p.l.Labels, logits)
}

// choose sets the label and the probabilities of a row of scores.
func (out *Prediction) choose(labels *Labels, logits []float64) {
	best := largest(logits)
	var sum float64
	for _, x := range logits {
		e := math.Exp(x - logits[best])
		out.Probabilities = append(out.Probabilities, e)
		sum += e
	}
	for i := range out.Probabilities {
		out.Probabilities[i] /= sum
	}
	out.Label, out.Probability = labels.Names[best], out.Probabilities[best]
}
