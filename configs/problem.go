package configs

import (
	"fmt"
	"sort"
	"strings"

	"sparrow/internal/shell"
)

// ErrConfig is what every error about the content of a config matches, for errors.Is.
var ErrConfig = shell.Sentinel(shell.ExitUsage, "configs: invalid config")

// Problem is one mistake in a config.
type Problem struct {
	File    string // the file, or `--set a.b=v` for an override
	Line    int    // 1-based; 0 where there is no line (a missing file, an override)
	Message string
}

// String returns `FILE:LINE: MESSAGE`, without the line where there is none and with long names and values cut.
func (p Problem) String() string {
	if p.Line == 0 {
		return shell.Clip(p.File + ": " + p.Message)
	}
	return shell.Clip(fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message))
}

// Problems is every mistake of one config: those of the file by line, then those of the overrides in their order.
// It is the error that [Load] and [Decode] return.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Is reports whether target is ErrConfig.
func (ps Problems) Is(target error) bool { return target == ErrConfig }

// ExitCode is that of a config error.
func (ps Problems) ExitCode() int { return shell.ExitUsage }

// sorted orders the problems and drops repetitions, which arise where an embedded struct lends its Validate to the
// struct around it. rank gives each problem's group: 0 for the file, 1.. for the overrides.
func sorted(ps Problems, rank map[string]int) Problems {
	sort.SliceStable(ps, func(i, j int) bool {
		if a, b := rank[ps[i].File], rank[ps[j].File]; a != b {
			return a < b
		}
		return ps[i].Line < ps[j].Line
	})
	seen := make(map[Problem]bool, len(ps))
	kept := ps[:0]
	for _, p := range ps {
		if !seen[p] {
			seen[p] = true
			kept = append(kept, p)
		}
	}
	return kept
}
