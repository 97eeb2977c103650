package card

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"sparrow/checkpoints"
	"sparrow/metrics"
	"sparrow/saved"
)

// Made is what a card says beside what the checkpoint keeps.
type Made struct {
	Scores []Score
	Method []string // sentences, without a full stop; none: it was trained, or imported
}

// Score is a line of the table of scores.
type Score struct {
	Name, Value, Before string // Before: of the model that this one was made from; "": not known
}

// Number writes a score with four decimals.
func Number(x float64) string { return fmt.Sprintf("%.4f", x) }

// Write writes the card of a model to a file, which is replaced in one step.
func Write(path string, l *saved.Model, m Made) error {
	text, err := Text(l, m)
	if err != nil {
		return fmt.Errorf("card: %w", err)
	}
	return metrics.WriteFile(path, text)
}

// Text is the card of a model. Equal checkpoints have equal cards.
func Text(l *saved.Model, m Made) ([]byte, error) {
	var b bytes.Buffer
	manifest, store, task := l.Files.Manifest(), l.Session.Store(), l.Task.Facts()
	fmt.Fprintf(&b, "# %s\n\n", l.Config.Name)
	fmt.Fprintf(&b, "A network of kind `%s`, %s, with %s parameters; its inputs are %ss.\n", l.Config.Model.Name, l.Config.Model.Body().Layout(),
		metrics.Count(store.Parameters()+store.BaseParameters()), orTokens(task.Each))
	state, known := saved.State{}, false
	if s, err := saved.ReadState(l.Files); err == nil {
		state, known = s, true
	}
	b.WriteString("\n## Scores\n\n")
	scores := m.Scores
	if len(scores) == 0 && known && state.Step > 0 && state.BestStep == state.Step {
		scores = append(scores, Score{Name: "loss", Value: Number(state.BestLoss)})
		if metric := l.Config.Eval.Metric; metric != "loss" {
			scores = append(scores, Score{Name: strings.ReplaceAll(metric, "_", " "), Value: Number(state.BestMetric)})
		}
	}
	if len(scores) == 0 {
		b.WriteString("Not measured on this checkpoint.\n")
	} else {
		b.WriteString("On the validation split, which chose this checkpoint and its settings: expect a little less on new data.\n\n| score | this model | before |\n|---|---|---|\n")
		for _, s := range scores {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Name, s.Value, dash(s.Before))
		}
	}
	b.WriteString("\n## Data\n\n")
	if l.Config.Data.IsNone() {
		b.WriteString("The model comes from elsewhere: what it learned from, its makers say.\n")
	} else {
		fmt.Fprintf(&b, "Source `%s`, as the config below says", l.Config.Data.Name)
		if state.Corpus != "" {
			fmt.Fprintf(&b, "; SHA-256 of the training data %s", state.Corpus)
		}
		b.WriteString(".\n")
	}
	if c := manifest.Calibration; c != nil {
		fmt.Fprintf(&b, "\nIts weights were chosen by %d calibration samples (seed %d) of data with SHA-256 %s.\n", c.Examples, c.Seed, c.Data)
	}
	b.WriteString("\n## Method\n\n")
	switch {
	case len(m.Method) > 0:
		for _, s := range m.Method {
			fmt.Fprintf(&b, "- %s.\n", s)
		}
	case known && state.Step > 0:
		fmt.Fprintf(&b, "Trained for %d steps of %d by %s.\n", state.Step, l.Config.Train.BatchSize, l.Config.Train.Optimizer)
	default:
		b.WriteString("Imported as it is.\n")
	}
	b.WriteString("\n## Lineage\n\n")
	fmt.Fprintf(&b, "- this checkpoint: step %d, SHA-256 of its manifest %s\n", manifest.Step, manifest.SHA256)
	lineage(&b, l.Files)
	text, err := l.Files.File("config.toml")
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "\n## Config\n\n```toml\n%s\n```\n", bytes.TrimSpace(text))
	return b.Bytes(), nil
}

// deepest bounds how far a lineage is followed: one that refers to itself is damaged.
const deepest = 16

// lineage lists what a checkpoint was made from, and that from, as far as it is there.
func lineage(b *bytes.Buffer, c *checkpoints.Checkpoint) {
	if c.Manifest().Parent == nil {
		b.WriteString("- made from no other checkpoint\n")
		return
	}
	for range deepest {
		p := c.Manifest().Parent
		if p == nil {
			return
		}
		fmt.Fprintf(b, "- made from %s, SHA-256 %s\n", filepath.ToSlash(p.Path), p.SHA256)
		next, err := checkpoints.Open(filepath.FromSlash(p.Path))
		if err != nil || next.Manifest().SHA256 != p.SHA256 {
			return // it has gone, or is another by now
		}
		c = next
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func orTokens(each string) string {
	if each == "" {
		return "text"
	}
	return each
}

// Change is a score with what it was before; numbers that are none are left out.
func Change(name string, after, before float64) Score {
	s := Score{Name: strings.ReplaceAll(name, "_", " "), Value: Number(after), Before: Number(before)}
	if math.IsNaN(before) {
		s.Before = ""
	}
	return s
}
