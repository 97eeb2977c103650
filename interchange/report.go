package interchange

import (
	"fmt"
	"strings"
)

// report collects all that stands against a model, so that one error lists it.
type report struct{ lines []string }

// maxLines bounds a report of a model that has nothing to do with its config.
const maxLines = 40

func (r *report) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *report) err(what string) error {
	if len(r.lines) == 0 {
		return nil
	}
	lines := r.lines
	if len(lines) > maxLines {
		lines = append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", len(r.lines)-maxLines))
	}
	return fmt.Errorf("%w: %s:\n  %s", ErrSource, what, strings.Join(lines, "\n  "))
}
