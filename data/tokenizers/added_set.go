package tokenizers

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedSet finds added tokens in text, the longest that begins at the earliest place.
type addedSet struct {
	tokens []setToken
	first  map[byte][]int // of tokens, by the first byte of what is found
}

// setToken is a token to be found.
type setToken struct {
	name, content         string // as the file writes it, and as it stands in the text
	id                    int
	word                  bool // whether neither letters nor digits may touch it
	takesLeft, takesRight bool // whether it takes the white space there
	special               bool // whether it stands for no text
}

func (s *addedSet) add(content string, a hfAdded) {
	if s.first == nil {
		s.first = map[byte][]int{}
	}
	s.first[content[0]] = append(s.first[content[0]], len(s.tokens))
	s.tokens = append(s.tokens, setToken{a.Content, content, a.ID, a.SingleWord, a.LStrip, a.RStrip, a.Special})
}

// cutPiece is a part of a text: a token, or text with id -1.
type cutPiece struct {
	text string
	id   int
}

// cut splits text at the tokens of the set; parts of no length are left out.
func (s *addedSet) cut(text string) []cutPiece {
	if len(s.tokens) == 0 {
		return []cutPiece{{text, -1}}
	}
	var out []cutPiece
	done := 0
	for at := 0; at < len(text); {
		token := s.longest(text[at:])
		if token == nil {
			at++
			continue
		}
		start, stop := at, at+len(token.content)
		at = stop
		if token.word && (endsInWord(text[:start]) || beginsWithWord(text[stop:])) {
			continue
		}
		if token.takesLeft {
			start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), done)
		}
		if token.takesRight {
			stop = len(text) - len(strings.TrimLeftFunc(text[stop:], unicode.IsSpace))
			at = max(at, stop)
		}
		if done < start {
			out = append(out, cutPiece{text[done:start], -1})
		}
		out = append(out, cutPiece{text[start:stop], token.id})
		done = stop
	}
	if done < len(text) {
		out = append(out, cutPiece{text[done:], -1})
	}
	return out
}

// longest is the longest token that text begins with, nil if there is none.
func (s *addedSet) longest(text string) *setToken {
	var best *setToken
	for _, i := range s.first[text[0]] {
		if t := &s.tokens[i]; (best == nil || len(t.content) > len(best.content)) && strings.HasPrefix(text, t.content) {
			best = t
		}
	}
	return best
}

func endsInWord(text string) bool {
	r, size := utf8.DecodeLastRuneInString(text)
	return size > 0 && isWordClass(r)
}

func beginsWithWord(text string) bool {
	r, size := utf8.DecodeRuneInString(text)
	return size > 0 && isWordClass(r)
}

// isWordClass tells \w of Unicode: letters, marks, decimal digits, connectors and the two joiners.
func isWordClass(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic) || r == 0x200C || r == 0x200D
}
