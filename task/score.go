package task

import (
	"fmt"
	"math"
	"strings"

	"sparrow/metrics"
)

// Score is a network's quality on a part of its data.
type Score struct {
	Unit   string          // of Count: "tokens" or "examples"
	Count  int             // what the loss is the mean over
	Values []metrics.Value // in the order of the task's Metrics, the loss first

	Classes *Classes // of a classifier; nil: it is none
}

// Loss is the mean loss; 0 of a score that was not measured.
func (s Score) Loss() float64 {
	if len(s.Values) == 0 {
		return 0
	}
	return s.Values[0].X
}

// Value is the measurement of that name, and whether the score has it.
func (s Score) Value(name string) (float64, bool) {
	return metrics.Record{Values: s.Values}.Value(name)
}

// Summary is the score of a task in one line.
func (s Score) Summary(t Task) string {
	var text strings.Builder
	for i, m := range t.Metrics() {
		x := s.Values[i].X
		switch {
		case i > 0 && math.Abs(x) > 1e6: // the perplexity of a run that has diverged may have hundreds of digits
			fmt.Fprintf(&text, ", %s %.3g", strings.ReplaceAll(m.Name, "_", " "), x)
		case i > 0:
			fmt.Fprintf(&text, ", %s %.*f", strings.ReplaceAll(m.Name, "_", " "), m.Digits, x)
		case m.Means == "" && m.Unit == "":
			fmt.Fprintf(&text, "%s %.*f", strings.ReplaceAll(m.Name, "_", " "), m.Digits, x)
		case m.Means != "":
			fmt.Fprintf(&text, "%.*f (%s)", m.Digits, x, m.Means)
		default:
			fmt.Fprintf(&text, "%.*f %s", m.Digits, x, m.Unit)
		}
	}
	return text.String()
}

// Better tells whether a value of a metric is better than another.
func (m Metric) Better(value, than float64) bool {
	if m.Falling {
		return value < than
	}
	return value > than
}

// NewScore pairs the metrics of a task with what was measured.
func NewScore(t Task, unit string, count int, values ...float64) Score {
	s := Score{Unit: unit, Count: count}
	for i, m := range t.Metrics() {
		s.Values = append(s.Values, metrics.Value{Name: m.Name, X: values[i]})
	}
	return s
}
