package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"sparrow/checkpoints"
	"sparrow/data/tokenizers"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/model"
)

// ReadTokenizer reads a checkpoint's tokenizer.json.
func ReadTokenizer(files Files) (tokenizers.Tokenizer, error) {
	text, err := files.File("tokenizer.json")
	if err != nil {
		return nil, err
	}
	tokenizer, err := tokenizers.Load(text)
	if err != nil {
		return nil, fmt.Errorf("train: %s/tokenizer.json: %w", files.Dir(), err)
	}
	return tokenizer, nil
}

// Labels is labels.json: what the scores of a classifier stand for.
type Labels struct {
	Names      []string `json:"labels"`     // of the classes, in the order of their ids; of a regression null
	Regression bool     `json:"regression"` // one score for each text
	Pairs      bool     `json:"pairs"`      // texts come in pairs

	// Sigmoid says that the score of a regression is 1 / (1 + exp(-x)) of the network's output, as of cross-encoders from elsewhere.
	Sigmoid bool `json:"sigmoid,omitempty"`
}

// ReadLabels reads a checkpoint's labels.json.
func ReadLabels(files Files) (*Labels, error) {
	text, err := files.File("labels.json")
	if err != nil {
		return nil, err
	}
	var l *Labels
	if err := json.Unmarshal(text, &l); err != nil || l == nil || l.Regression == (len(l.Names) > 0) {
		return nil, fmt.Errorf("%w: %s/labels.json: want the names of the classes, or a regression: %w", checkpoints.ErrCheckpoint, files.Dir(), err)
	}
	return l, nil
}

// StrictJSON reads a file of a checkpoint into a value: one JSON value, with no other keys than the value's.
func StrictJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("more follows after the value")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", checkpoints.ErrCheckpoint, err)
	}
	return nil
}

// JSONFile is a value as a file.
func JSONFile(x any) []byte {
	text, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		panic(err) // impossible: strings, flags and finite numbers
	}
	return append(text, '\n')
}

// CheckMetric refuses metrics that a number of classes has not.
func CheckMetric(metric string, classes int) error {
	switch {
	case metric == "f1" && classes != 2:
		return fmt.Errorf("[eval] metric = %q is of two classes, and the data has %d; want one of macro_f1, accuracy, matthews, loss", metric, classes)
	case metric == "top5" && classes <= topK:
		return fmt.Errorf("[eval] metric = %q is of more than %d classes, and the data has %d; want one of accuracy, macro_f1, matthews, loss", metric, topK, classes)
	}
	return nil
}

// topK is how many of the likeliest classes the metric top5 looks among.
const topK = 5

// Metrics of answers; near asks for top5 where there are enough classes.
func (l Labels) Metrics(near bool) []Metric {
	loss := Metric{Name: "loss", Falling: true, Unit: "nats an example", Digits: 4}
	names := []string{"accuracy", "macro_f1", "matthews"}
	switch classes := len(l.Names); {
	case l.Regression:
		loss.Unit, loss.Means = "", "squared error"
		names = []string{"pearson", "spearman"}
	case classes == 2:
		names = slices.Insert(names, 1, "f1")
	case near && classes > topK:
		names = slices.Insert(names, 1, "top5")
	}
	all := []Metric{loss}
	for _, name := range names {
		all = append(all, Metric{Name: name, Digits: 4})
	}
	return all
}

// answers collects what a network says of examples, for their score.
type answers struct {
	labels        Labels
	seen          confusion
	near          int       // examples whose class is among the topK likeliest
	truth, scores []float64 // of a regression
}

// NewAnswers has seen none yet.
func NewAnswers(l Labels) *answers { return &answers{labels: l, seen: newConfusion(len(l.Names))} }

// Add takes the answers to a batch of n examples, of which labels or scores are the truth.
func (a *answers) Add(p *model.Program, n int, labels []int, scores []float64) {
	logits := p.Output("logits").Float64s()
	classes := len(a.labels.Names)
	for row := range n {
		if a.labels.Regression {
			a.truth, a.scores = append(a.truth, scores[row]), append(a.scores, a.labels.score(logits[row]))
			continue
		}
		x := logits[row*classes : (row+1)*classes]
		a.seen[labels[row]][largest(x)]++
		if rank(x, labels[row]) < topK {
			a.near++
		}
	}
}

// Score is that of a task with a mean loss over n examples.
func (a *answers) Score(t Task, loss float64, n int) Score {
	s := Score{Unit: "examples", Count: n}
	if !a.labels.Regression {
		s.Classes = a.seen.classes(a.labels.Names)
	}
	for _, m := range t.Metrics() {
		var x float64
		switch m.Name {
		case "loss":
			if x = loss; a.labels.Sigmoid {
				x = squaredError(a.truth, a.scores)
			}
		case "pearson":
			x = pearson(a.truth, a.scores)
		case "spearman":
			x = spearman(a.truth, a.scores)
		case "accuracy":
			x = a.seen.accuracy()
		case "top5":
			x = float64(a.near) / float64(n)
		case "f1":
			x = a.seen.f1(1)
		case "macro_f1":
			x = a.seen.macroF1()
		case "matthews":
			x = a.seen.matthews()
		}
		s.Values = append(s.Values, metrics.Value{Name: m.Name, X: x})
	}
	return s
}

// score is that of a regression, of the network's output.
func (l Labels) score(x float64) float64 {
	if l.Sigmoid {
		return 1 / (1 + math.Exp(-x))
	}
	return x
}

func squaredError(truth, scores []float64) float64 {
	var sum float64
	for i, x := range scores {
		sum += (x - truth[i]) * (x - truth[i])
	}
	return sum / float64(len(scores))
}

// ScoreName is that of the value of a regression.
const ScoreName = "score"

// Predict is what a row of scores says. Scores that are no finite numbers say nothing and are an error.
func (l Labels) Predict(logits []float64) (Prediction, error) {
	for _, x := range logits {
		if !kernel.Finite(x) {
			return nil, fmt.Errorf("the network's answer is %g, no number: its weights are too large; use another checkpoint", x)
		}
	}
	if l.Regression {
		return Prediction{{Name: ScoreName, X: l.score(logits[0])}}, nil
	}
	most := logits[largest(logits)]
	order := make([]int, len(logits))
	var sum float64
	for i, x := range logits {
		order[i] = i
		sum += math.Exp(x - most)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	var p Prediction
	for _, i := range order {
		p = append(p, metrics.Value{Name: l.Names[i], X: math.Exp(logits[i]-most) / sum})
	}
	return p, nil
}

// largest is the index of the largest value, the first of several.
func largest(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// rank is how many values come before x[i]: larger ones, and equal ones on its left, as largest chooses.
func rank(x []float64, i int) int {
	n := 0
	for j, v := range x {
		if v > x[i] || v == x[i] && j < i {
			n++
		}
	}
	return n
}

// PredictBatch is how many inputs a prediction runs at once.
const PredictBatch = 16
