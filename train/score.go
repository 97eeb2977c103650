package train

import (
	"fmt"
	"slices"
	"strings"
)

// Score is a network's quality on a part of its data. Which of the values after the loss it has depends on the task.
type Score struct {
	Loss float64 // mean; nats a token or an example, of a regression the squared error

	// Of a language model.
	Perplexity float64 // exp(loss)
	Tokens     int     // that were predicted

	// Of a classification or regression.
	Examples int
	Classes  int // 0: a regression

	// Of a classification; see [confusion].
	Accuracy float64
	F1       float64 // of the second of two classes
	MacroF1  float64
	Matthews float64

	// Of a classification of images.
	Images bool
	Top5   float64 // share of images whose class is among the five likeliest

	// Of a regression.
	Pearson  float64
	Spearman float64
}

// Values are the measurements, the loss first. Their names are those of [eval] metric.
func (s Score) Values() []Value {
	values := []Value{{"loss", s.Loss}}
	switch {
	case s.Tokens > 0:
		return append(values, Value{"perplexity", s.Perplexity})
	case s.Classes == 0:
		return append(values, Value{"pearson", s.Pearson}, Value{"spearman", s.Spearman})
	case s.Classes == 2:
		values = append(values, Value{"accuracy", s.Accuracy}, Value{"f1", s.F1})
	default:
		values = append(values, Value{"accuracy", s.Accuracy})
	}
	if s.Images && s.Classes > topK {
		values = append(values, Value{"top5", s.Top5})
	}
	return append(values, Value{"macro_f1", s.MacroF1}, Value{"matthews", s.Matthews})
}

// Value is the measurement of that name, and whether the score has it.
func (s Score) Value(name string) (float64, bool) { return Record{Values: s.Values()}.Value(name) }

// Count is what the loss is the mean over.
func (s Score) Count() (unit string, n int) {
	if s.Tokens > 0 {
		return "tokens", s.Tokens
	}
	return "examples", s.Examples
}

// Summary is the score in one line.
func (s Score) Summary() string {
	if s.Tokens > 0 {
		return fmt.Sprintf("%.4f nats a token, perplexity %.2f", s.Loss, s.Perplexity)
	}
	text := fmt.Sprintf("%.4f nats an example", s.Loss)
	if s.Classes == 0 {
		text = fmt.Sprintf("%.4f (squared error)", s.Loss)
	}
	for _, v := range s.Values()[1:] {
		text += fmt.Sprintf(", %s %.4f", strings.ReplaceAll(v.Name, "_", " "), v.X)
	}
	return text
}

// record is what the files of a run keep of an evaluation.
func (s Score) record(step int) Record {
	values := s.Values()
	values[0].Name = "validation_loss"
	return Record{Step: step, Kind: KindEval, Values: values}
}

// falling are the metrics of which less is better.
var falling = []string{"loss", "perplexity"}

// better tells whether a value of a metric is better than another.
func better(metric string, value, than float64) bool {
	if slices.Contains(falling, metric) {
		return value < than
	}
	return value > than
}

// metricsOf lists what [eval] metric may be for a config's data.
func (c Config) metricsOf() []string {
	switch {
	case c.Data.IsImages():
		return []string{"loss", "accuracy", "top5", "f1", "macro_f1", "matthews"}
	case !c.Data.IsLabelled():
		return falling
	case c.Data.Regression:
		return []string{"loss", "pearson", "spearman"}
	}
	return []string{"loss", "accuracy", "f1", "macro_f1", "matthews"}
}
