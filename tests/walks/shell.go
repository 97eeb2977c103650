package main

import (
	"fmt"
	"slices"
	"strings"
)

// words splits a line as a shell does, by spaces outside of quotes. It stops where the line goes on to another command
// or to a file: at |, <, > or &&.
func words(line string) ([]string, error) {
	var all []string
	var word strings.Builder
	inside, quote := false, rune(0)
	end := func() {
		if inside {
			all = append(all, word.String())
		}
		word.Reset()
		inside = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inside = r, true
		case r == ' ':
			end()
		case r == '|' || r == '<' || r == '>' || r == '&':
			end()
			return all, nil
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote is not closed: %s", line)
	}
	end()
	return all, nil
}

// nested are the commands that have commands of their own.
var nested = []string{"index", "interpret"}

// program splits a command into what is run, such as "go run ./cmd/train run", and its arguments: the words after the
// package and, of the commands with verbs, the verb.
func program(command []string) (name string, args []string) {
	n := 1
	if len(command) > 2 && command[0] == "go" && command[1] == "run" {
		n = 3
		if strings.HasPrefix(command[2], "./cmd/") {
			n = 4
			if len(command) > 4 && slices.Contains(nested, command[3]) && !strings.HasPrefix(command[4], "-") {
				n = 5
			}
		}
	}
	n = min(n, len(command))
	return strings.Join(command[:n], " "), command[n:]
}
