package chat

import (
	"slices"
	"strings"
)

// token is a part of a statement or an expression; all of them, one after the other, are its text.
type token struct {
	kind byte // 's' string, 'n' name, 'd' number, ' ' white space; else one character that stands for itself
	text string
}

func tokensOf(text string) []token {
	var out []token
	letter := func(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for at := 0; at < len(text); {
		end, kind := at+1, text[at]
		run := func(is func(byte) bool) {
			for end < len(text) && is(text[end]) {
				end++
			}
		}
		switch c := text[at]; {
		case c == '"' || c == '\'':
			kind = 's'
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(text))
		case letter(c):
			kind = 'n'
			run(func(c byte) bool { return letter(c) || digit(c) })
		case digit(c):
			kind = 'd'
			run(digit)
			if end+1 < len(text) && text[end] == '.' && digit(text[end+1]) {
				end++
				run(digit)
			}
		case strings.IndexByte(" \t\r\n", c) >= 0:
			kind = ' '
			run(func(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 })
		}
		out = append(out, token{kind, text[at:end]})
		at = end
	}
	return out
}

func joined(ts []token) string {
	var b strings.Builder
	for _, t := range ts {
		b.WriteString(t.text)
	}
	return b.String()
}

// near is the index of the next token from i on in steps of by that is no white space, and its kind; 0 beyond the ends.
func near(ts []token, i, by int) (int, byte) {
	for ; i >= 0 && i < len(ts); i += by {
		if ts[i].kind != ' ' {
			return i, ts[i].kind
		}
	}
	return i, 0
}

// group is the index behind the parentheses that open at i.
func group(ts []token, i int) int {
	depth := 0
	for ; i < len(ts); i++ {
		switch ts[i].kind {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

// alone says whether the token at i is an operand of its own: a name, a number or a string of which nothing is asked and that is no
// part of another product.
func alone(ts []token, i int) bool {
	if i < 0 || i >= len(ts) || !slices.Contains([]byte("nds"), ts[i].kind) || ts[i].kind == 'n' && slices.Contains(words, ts[i].text) {
		return false
	}
	_, before := near(ts, i-1, -1)
	_, after := near(ts, i+1, 1)
	j, _ := near(ts, i+1, 1)
	twice := after == '*' && j+1 < len(ts) && ts[j+1].kind == '*' // a power
	return before != '.' && before != '|' && before != '/' && before != '%' && !twice && !slices.Contains([]byte(".([|"), after)
}
