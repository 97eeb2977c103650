package constrain

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// character is one character of a JSON string, as it is or escaped.
func character() *node { return runes(0, unicode.MaxRune) }

// shortEscapes are characters that a string may only hold escaped, by their letters, and others that may be.
var shortEscapes = map[rune]byte{'"': '"', '\\': '\\', '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f'}

// runes is a character of a JSON string between two others; nil: there is none. Control characters, quotes and backslashes are
// escaped; no other is. What begins alike shares its beginning, so that few stacks are under way.
func runes(low, high rune) *node {
	var parts, escaped []*node
	letters, plain := &node{kind: one}, &node{kind: one}
	for r, letter := range shortEscapes {
		if r >= low && r <= high {
			letters.bytes.add(letter, letter)
		}
	}
	if letters.bytes != (set{}) {
		escaped = append(escaped, letters)
	}
	const hex = "0123456789abcdef"
	for _, half := range []rune{0, 1} { // \u000x and \u001x
		last := &node{kind: one}
		for r := max(low, 16*half); r <= min(high, 16*half+15); r++ {
			if _, short := shortEscapes[r]; !short {
				last.bytes.add(hex[r&15], hex[r&15])
			}
		}
		if last.bytes != (set{}) {
			escaped = append(escaped, seq(literal("u00"), span(hex[half], hex[half]), last))
		}
	}
	if len(escaped) > 0 {
		parts = append(parts, seq(literal(`\`), either(escaped...)))
	}
	// What stands for itself: ASCII without quotes and backslashes, and the rest without surrogates by the lengths of UTF-8.
	for r := max(low, 0x20); r <= min(high, 0x7f); r++ {
		if _, short := shortEscapes[r]; !short {
			plain.bytes.add(byte(r), byte(r))
		}
	}
	if plain.bytes != (set{}) {
		parts = append(parts, plain)
	}
	for _, x := range [][2]rune{{0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, unicode.MaxRune}} {
		if from, to := max(low, x[0]), min(high, x[1]); from <= to {
			parts = append(parts, encoded(from, to)...)
		}
	}
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	return either(parts...)
}

// encoded is characters whose UTF-8 has one length, as sequences of sets of bytes.
func encoded(low, high rune) []*node {
	a, b := []byte(string(low)), []byte(string(high))
	return between(a, b)
}

// between is the texts of valid UTF-8 of one length between two of them.
func between(low, high []byte) []*node {
	if len(low) == 1 {
		return []*node{span(low[0], high[0])}
	}
	if low[0] == high[0] {
		var out []*node
		for _, n := range between(low[1:], high[1:]) {
			out = append(out, seq(span(low[0], low[0]), n))
		}
		return out
	}
	var out []*node
	n := len(low) - 1
	least, most := slices.Repeat([]byte{0x80}, n), slices.Repeat([]byte{0xbf}, n)
	from, to := low[0], high[0]
	if !slices.Equal(low[1:], least) {
		for _, x := range between(low[1:], most) {
			out = append(out, seq(span(from, from), x))
		}
		from++
	}
	var last []*node
	if !slices.Equal(high[1:], most) {
		for _, x := range between(least, high[1:]) {
			last = append(last, seq(span(to, to), x))
		}
		to--
	}
	if from <= to {
		for _, x := range between(least, most) {
			out = append(out, seq(span(from, to), x))
		}
	}
	return append(out, last...)
}

// Bounds of a pattern.
const (
	maxPattern = 1000
	maxRepeat  = 1000
)

// regular is a string that matches a pattern, which is anchored nowhere unless it says so, as JSON schemas have it.
func regular(pattern string) (*node, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("it has %d bytes; want at most %d", len(pattern), maxPattern)
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	begin, end, err := anchors(re)
	if err != nil {
		return nil, err
	}
	n, err := expression(re)
	if err != nil {
		return nil, err
	}
	parts := []*node{n}
	if !begin {
		parts = append([]*node{star(character())}, parts...)
	}
	if !end {
		parts = append(parts, star(character()))
	}
	return seq(parts...), nil
}

// anchors takes ^ from the beginning and $ from the end of an expression. Others are an error.
func anchors(re *syntax.Regexp) (begin, end bool, err error) {
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	if first := parts[0]; first.Op == syntax.OpBeginText {
		begin, first.Op = true, syntax.OpEmptyMatch
	}
	if last := parts[len(parts)-1]; last.Op == syntax.OpEndText {
		end, last.Op = true, syntax.OpEmptyMatch
	}
	return begin, end, nil
}

// expression is the grammar of a regular expression over the characters of a JSON string.
func expression(re *syntax.Regexp) (*node, error) {
	sub := func() ([]*node, error) {
		var out []*node
		for _, s := range re.Sub {
			n, err := expression(s)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	}
	if re.Flags&syntax.FoldCase != 0 {
		return nil, errors.New("matching without regard to case is not supported")
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return seq(), nil
	case syntax.OpLiteral:
		var parts []*node
		for _, r := range re.Rune {
			n := runes(r, r)
			if n == nil || r == utf8.RuneError {
				return nil, fmt.Errorf("the character %q is not supported", r)
			}
			parts = append(parts, n)
		}
		return seq(parts...), nil
	case syntax.OpCharClass:
		var parts []*node
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if n := runes(re.Rune[i], re.Rune[i+1]); n != nil {
				parts = append(parts, n)
			}
		}
		if len(parts) == 0 {
			return nil, errors.New("a class has no characters")
		}
		return either(parts...), nil
	case syntax.OpAnyCharNotNL:
		return either(runes(0, '\n'-1), runes('\n'+1, unicode.MaxRune)), nil
	case syntax.OpAnyChar:
		return character(), nil
	case syntax.OpCapture:
		return expression(re.Sub[0])
	case syntax.OpConcat, syntax.OpAlternate:
		parts, err := sub()
		if err != nil {
			return nil, err
		}
		if re.Op == syntax.OpConcat {
			return seq(parts...), nil
		}
		return either(parts...), nil
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		n, err := expression(re.Sub[0])
		if err != nil {
			return nil, err
		}
		switch re.Op {
		case syntax.OpStar:
			return star(n), nil
		case syntax.OpPlus:
			return seq(n, star(n)), nil
		case syntax.OpQuest:
			return maybe(n), nil
		}
		if re.Min > maxRepeat || re.Max > maxRepeat {
			return nil, fmt.Errorf("more than %d repetitions are not supported", maxRepeat)
		}
		return times(n, re.Min, re.Max), nil
	}
	return nil, fmt.Errorf("%s is not supported here", re)
}
