package configs

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// scanLines maps every key and table of a document to its line. The TOML parser keeps positions for syntax errors
// only, so the document, which it has already found valid, is walked a second time for them. Elements of arrays and
// of [[tables]] have their index as a part of the key ("model.linear.0.rank").
func scanLines(text string) map[string]int {
	s := &lineScanner{text: text, line: 1, lines: map[string]int{}, elements: map[string]int{}}
	s.text = strings.TrimPrefix(s.text, "\ufeff")
	for {
		s.skipBlank(true)
		if s.pos >= len(s.text) {
			return s.lines
		}
		start := s.pos
		if s.peek() == '[' {
			s.tableHeader()
		} else {
			s.keyValue(s.table)
		}
		if s.pos == start { // not TOML: stay total on any input
			s.pos++
		}
	}
}

// lineScanner walks a document. It never fails: what it does not understand it steps over.
type lineScanner struct {
	text     string
	pos      int
	line     int
	table    toml.Key       // the table that keys belong to now
	elements map[string]int // array of tables -> its elements so far
	lines    map[string]int
}

func (s *lineScanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// next steps over one byte and counts lines.
func (s *lineScanner) next() {
	if s.peek() == '\n' {
		s.line++
	}
	if s.pos < len(s.text) {
		s.pos++
	}
}

// skipBlank steps over spaces and, between lines, over line ends and comments.
func (s *lineScanner) skipBlank(lines bool) {
	for s.pos < len(s.text) {
		switch c := s.peek(); {
		case c == ' ' || c == '\t':
			s.pos++
		case lines && (c == '\n' || c == '\r'):
			s.next()
		case lines && c == '#':
			s.skipUntil("\n")
		default:
			return
		}
	}
}

// skipUntil steps to the first of the bytes in stop, or to the end.
func (s *lineScanner) skipUntil(stop string) {
	for s.pos < len(s.text) && !strings.Contains(stop, s.text[s.pos:s.pos+1]) {
		s.next()
	}
}

// record notes the line of a key; the first mention wins.
func (s *lineScanner) record(key toml.Key, line int) {
	if id := key.String(); s.lines[id] == 0 {
		s.lines[id] = line
	}
}

// tableHeader reads [a.b] or [[a.b]] and makes it the current table.
func (s *lineScanner) tableHeader() {
	line := s.line
	s.pos++
	array := s.peek() == '['
	if array {
		s.pos++
	}
	s.table = nil
	name := s.dottedKey()
	for i, part := range name {
		s.table = child(s.table, part)
		id := s.table.String()
		s.record(s.table, line)
		if array && i == len(name)-1 {
			s.elements[id]++
		}
		if n := s.elements[id]; n > 0 { // a name above stands for the last element so far
			s.table = element(s.table, n-1)
			s.record(s.table, line)
		}
	}
	s.skipUntil("\n")
}

// keyValue reads `a.b = value` below a table.
func (s *lineScanner) keyValue(table toml.Key) {
	line := s.line
	key := table
	for _, part := range s.dottedKey() {
		key = child(key, part)
		s.record(key, line)
	}
	s.skipBlank(false)
	if s.peek() == '=' {
		s.pos++
		s.skipBlank(false)
		s.value(key)
	}
}

// dottedKey reads the parts of a key: bare, "basic" or 'literal', between dots.
func (s *lineScanner) dottedKey() toml.Key {
	var key toml.Key
	for {
		s.skipBlank(false)
		start := s.pos
		if c := s.peek(); c == '"' || c == '\'' {
			s.str()
			key = append(key, unquoteKey(s.text[start:s.pos]))
		} else {
			s.skipUntil(" \t\r\n.=]#\"',{}[")
			key = append(key, s.text[start:s.pos])
		}
		s.skipBlank(false)
		if s.peek() != '.' {
			return key
		}
		s.pos++
	}
}

// unquoteKey returns the name in a quoted key, which the TOML parser reads best.
func unquoteKey(text string) string {
	var doc map[string]any
	if _, err := toml.Decode(text+" = 0", &doc); err == nil {
		for name := range doc {
			return name
		}
	}
	return text
}

// value steps over a value and records the keys and elements inside it.
func (s *lineScanner) value(key toml.Key) {
	switch s.peek() {
	case '"', '\'':
		s.str()
	case '[':
		s.pos++
		for i := 0; ; i++ {
			s.skipBlank(true)
			if s.pos >= len(s.text) || s.peek() == ']' {
				s.next()
				return
			}
			s.record(element(key, i), s.line)
			start := s.pos
			s.value(element(key, i))
			s.separator(start)
		}
	case '{':
		s.pos++
		for {
			s.skipBlank(true)
			if s.pos >= len(s.text) || s.peek() == '}' {
				s.next()
				return
			}
			start := s.pos
			s.keyValue(key)
			s.separator(start)
		}
	default:
		s.skipUntil(",]}#\n")
	}
}

// separator steps over the comma after an element that began at start, and always forward.
func (s *lineScanner) separator(start int) {
	s.skipBlank(true)
	if s.peek() == ',' || s.pos == start {
		s.next()
	}
}

// str steps over a string of any of the four kinds.
func (s *lineScanner) str() {
	q := s.text[s.pos : s.pos+1]
	if triple := strings.Repeat(q, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		s.pos += 3
		for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], triple) {
			s.escaped(q)
		}
		s.pos = min(s.pos+3, len(s.text))
		for n := 0; n < 2 && s.peek() == q[0]; n++ { // """a""""" ends in two quotes of its own
			s.pos++
		}
		return
	}
	s.pos++
	for s.pos < len(s.text) && s.peek() != q[0] && s.peek() != '\n' {
		s.escaped(q)
	}
	if s.peek() == q[0] {
		s.pos++
	}
}

// escaped steps over one byte of a string, two for an escape in a basic one.
func (s *lineScanner) escaped(q string) {
	if q == `"` && s.peek() == '\\' {
		s.next()
	}
	s.next()
}
