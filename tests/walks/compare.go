package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const elided = "[...]" // stands for any lines

// sameOutput compares what a command printed with what its page shows, line by line.
func sameOutput(shown []string, printed string) error {
	want, got := trim(shown), trim(strings.Split(printed, "\n"))
	match := func(s, p string) bool { return strings.TrimRight(s, " ") == strings.TrimRight(p, " ") }
	if !follows(want, got, match) {
		return fmt.Errorf("the page shows\n%s\nand it printed\n%s", indent(want), indent(got))
	}
	return nil
}

// follows says whether lines match a pattern, in which elided stands for any lines.
func follows(pattern, lines []string, match func(string, string) bool) bool {
	for len(pattern) > 0 {
		if pattern[0] == elided {
			for i := range len(lines) + 1 {
				if follows(pattern[1:], lines[i:], match) {
					return true
				}
			}
			return false
		}
		if len(lines) == 0 || !match(pattern[0], lines[0]) {
			return false
		}
		pattern, lines = pattern[1:], lines[1:]
	}
	return len(lines) == 0
}

var label = regexp.MustCompile(`^(\S+(?: \S+)*)  `)

// sameLabels looks for the first columns of what a page shows in what was printed, in their order.
func sameLabels(shown []string, printed string) error {
	var got []string
	for line := range strings.Lines(printed) {
		if m := label.FindStringSubmatch(line); m != nil {
			got = append(got, m[1])
		}
	}
	rest := got
	for _, line := range shown {
		m := label.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := slices.Index(rest, m[1])
		if at < 0 {
			return fmt.Errorf("the page shows a line %q, and it printed lines of %q", m[1], got)
		}
		rest = rest[at+1:]
	}
	return nil
}

// trim drops empty lines at both ends.
func trim(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func indent(lines []string) string { return "    " + strings.Join(lines, "\n    ") }
