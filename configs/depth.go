package configs

import "fmt"

// maxDepth bounds how deep tables and arrays lie in each other. No config needs more than a handful, and the TOML parser
// takes time and memory that grow with the square of the depth: minutes for a small file made for that.
const maxDepth = 32

// tooDeep returns the problem of a document that nests deeper than maxDepth: by brackets, by dots in a key or by both. It
// walks the text once, before anything is built from it, and passes what is not TOML.
func tooDeep(name, text string) (Problem, bool) {
	s := &lineScanner{text: text, line: 1}
	var around []int // of each open bracket, how much deeper it leads
	depth, parts := 0, 0
	for s.pos < len(s.text) {
		switch s.peek() {
		case '"', '\'':
			s.str()
			continue
		case '#':
			s.skipUntil("\n")
			continue
		case '.':
			parts++
		case ',', '\n':
			parts = 0
		case '[', '{':
			around = append(around, parts+1)
			depth, parts = depth+parts+1, 0
		case ']', '}':
			if n := len(around) - 1; n >= 0 {
				depth -= around[n]
				around = around[:n]
			}
			parts = 0
		}
		if depth+parts > maxDepth {
			return Problem{File: name, Line: s.line, Message: fmt.Sprintf("tables and arrays lie deeper in each other than %d; want a config of at most that depth", maxDepth)}, true
		}
		s.next()
	}
	return Problem{}, false
}
