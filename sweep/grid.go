package sweep

import (
	"fmt"
	"strings"

	"sparrow/internal/shell"
)

// ErrUsage matches mistakes in what a sweep is asked for.
var ErrUsage = shell.Sentinel(shell.ExitUsage, "sweep: cannot start")

// Axis is a key of a config with the values that it takes in turn.
type Axis struct {
	Key    string
	Values []string
}

// ParseAxes reads axes as the command line has them: "train.learning_rate=1e-3,3e-3". Commas inside brackets, braces and quotation marks
// part nothing.
func ParseAxes(texts []string) ([]Axis, error) {
	var axes []Axis
	for _, text := range texts {
		key, values, ok := strings.Cut(text, "=")
		a := Axis{strings.TrimSpace(key), splitValues(values)}
		if !ok || a.Key == "" || len(a.Values) == 0 {
			return nil, fmt.Errorf("%w: %q is no axis of a grid; want KEY=VALUE,VALUE,… such as train.learning_rate=1e-3,3e-3", ErrUsage, text)
		}
		seen := map[string]bool{}
		for _, v := range a.Values {
			if v == "" || seen[v] {
				return nil, fmt.Errorf("%w: %q has the value %q twice, or an empty one", ErrUsage, text, v)
			}
			seen[v] = true
		}
		for _, other := range axes {
			if other.Key == a.Key {
				return nil, fmt.Errorf("%w: two axes of %s; want all its values in one", ErrUsage, a.Key)
			}
		}
		axes = append(axes, a)
	}
	return axes, nil
}

// splitValues parts a list at commas that stand in no brackets, braces or quotation marks.
func splitValues(text string) (values []string) {
	depth, from := 0, 0
	var quote rune
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			depth--
		case r == ',' && depth == 0:
			values, from = append(values, strings.TrimSpace(text[from:i])), i+1
		}
	}
	if text == "" {
		return nil
	}
	return append(values, strings.TrimSpace(text[from:]))
}

// maxPoints bounds a grid.
const maxPoints = 10_000

// Cells are all combinations of the axes' values, the last axis fastest; of no axes the one that sets nothing.
func Cells(axes []Axis) ([][]string, error) {
	cells := [][]string{nil}
	for _, a := range axes {
		if len(cells)*len(a.Values) > maxPoints {
			return nil, fmt.Errorf("%w: the grid has more than %d points", ErrUsage, maxPoints)
		}
		var more [][]string
		for _, c := range cells {
			for _, v := range a.Values {
				more = append(more, append(c[:len(c):len(c)], v))
			}
		}
		cells = more
	}
	return cells, nil
}

// overrides are a cell's settings, as --set has them.
func overrides(axes []Axis, cell []string) []string {
	set := make([]string, len(cell))
	for i, v := range cell {
		set[i] = axes[i].Key + "=" + v
	}
	return set
}

// label names a cell for people: the last part of each key, and its value.
func label(axes []Axis, cell []string) string {
	var parts []string
	for i, v := range cell {
		parts = append(parts, short(axes[i].Key)+"="+v)
	}
	return strings.Join(parts, ", ")
}

func short(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// folder is a name of a folder for a label.
func folder(label string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("=._-+", r) {
			return r
		}
		return '_'
	}, strings.ReplaceAll(label, ", ", ","))
	if name == "" {
		return "run"
	}
	return name[:min(len(name), 100)]
}
