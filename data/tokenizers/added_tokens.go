package tokenizers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedTokens are tokens that are matched in the text before anything else is done to it, such as <|endoftext|>.
type addedTokens struct {
	tokens []addedToken // longest content first
	starts [256]bool    // first bytes of their contents
}

type addedToken struct {
	content        string
	id             int
	lstrip, rstrip bool // whether it takes the white space before or after it
	special        bool // whether it stands for no text
}

func newAddedTokens(list []hfAdded) (addedTokens, error) {
	var a addedTokens
	for _, added := range list {
		switch {
		case added.SingleWord:
			return a, fmt.Errorf("added token %q with single_word is not supported", added.Content)
		case added.Content == "":
			return a, fmt.Errorf("added token with id %d has no content", added.ID)
		}
		a.tokens = append(a.tokens, addedToken{added.Content, added.ID, added.LStrip, added.RStrip, added.Special})
		a.starts[added.Content[0]] = true
	}
	slices.SortFunc(a.tokens, func(x, y addedToken) int {
		return cmp.Or(cmp.Compare(len(y.content), len(x.content)), cmp.Compare(x.content, y.content))
	})
	return a, nil
}

// cut splits text at the first added token, the longest one there: the text before, the token and the text after. White
// space that the token takes is dropped. Without a token all text is before, and token is nil.
func (a *addedTokens) cut(text string) (before string, token *addedToken, after string) {
	if len(a.tokens) == 0 {
		return text, nil, ""
	}
	for i := range len(text) {
		if !a.starts[text[i]] {
			continue
		}
		for j := range a.tokens {
			token := &a.tokens[j]
			if !strings.HasPrefix(text[i:], token.content) {
				continue
			}
			before, after = text[:i], text[i+len(token.content):]
			if token.lstrip {
				before = strings.TrimRightFunc(before, isSpace)
			}
			if token.rstrip {
				after = strings.TrimLeftFunc(after, isSpace)
			}
			return before, token, after
		}
	}
	return text, nil, ""
}

// separatorNames are the contents by which published tokenizers call the token that ends a document.
var separatorNames = []string{endOfText, "<|end_of_text|>", "<|eos|>", "<eos>", "</s>", "[SEP]"}

// separator returns the id of the token that ends a document, or NoSeparator.
func (a *addedTokens) separator() int {
	for _, name := range separatorNames {
		if i := slices.IndexFunc(a.tokens, func(t addedToken) bool { return t.content == name }); i >= 0 {
			return a.tokens[i].id
		}
	}
	return NoSeparator
}

// vocabTable lists the texts of ids.
type vocabTable struct {
	texts   []string
	defined []bool // files may leave gaps
}

// set defines an id that nothing has defined. Ids above limit are an error: published vocabularies have gaps, but a
// damaged file must not ask for a table of 2^60 entries.
func (v *vocabTable) set(id int, text string, limit int) error {
	if id < 0 || id > limit {
		return fmt.Errorf("token %q has id %d, want 0 to %d", text, id, limit)
	}
	for len(v.texts) <= id {
		v.texts, v.defined = append(v.texts, ""), append(v.defined, false)
	}
	if v.defined[id] && v.texts[id] != text {
		return fmt.Errorf("id %d stands for %q and %q", id, v.texts[id], text)
	}
	v.texts[id], v.defined[id] = text, true
	return nil
}

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
