package tokenizers

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Stream decodes ids one at a time, for text that is shown while it is generated. A rune whose bytes arrive in several
// tokens is held back until it is whole, so each piece is valid UTF-8. Bytes that cannot become a rune are given as U+FFFD.
type Stream struct {
	tokens  tokenTexts
	first   bool
	pending []byte
}

// NewStream returns a Stream at the start of a text.
func NewStream(t Tokenizer) *Stream { return &Stream{tokens: t, first: true} }

// Push adds an id and returns the text that is complete now, which may be empty.
func (s *Stream) Push(id int) string {
	if text, ok := s.tokens.tokenText(id, s.first); ok {
		s.pending = append(s.pending, text...)
	} else {
		s.pending = utf8.AppendRune(s.pending, utf8.RuneError)
	}
	s.first = false
	return s.take(func() bool { return utf8.FullRune(s.pending) })
}

// Flush returns what is left, at the end of the text: a rune that was cut short, as U+FFFD.
func (s *Stream) Flush() string { return s.take(func() bool { return true }) }

// take returns the runes of pending as long as ready, which is asked only when there are bytes.
func (s *Stream) take(ready func() bool) string {
	var b strings.Builder
	for len(s.pending) > 0 && ready() {
		r, size := utf8.DecodeRune(s.pending)
		b.WriteRune(r)
		s.pending = s.pending[size:]
	}
	return b.String()
}

// Until passes text on up to the first of some stops, none of which it shows. Text that may become one is held back.
type Until struct {
	stops []string
	held  string
}

// NewUntil returns an Until at the start of a text. Stops that are empty stop nothing.
func NewUntil(stops ...string) *Until {
	return &Until{stops: slices.DeleteFunc(slices.Clone(stops), func(s string) bool { return s == "" })}
}

// Push adds a piece of text and returns what may be shown, and whether a stop has come.
func (u *Until) Push(piece string) (text string, stopped bool) {
	u.held += piece
	end := len(u.held)
	for _, stop := range u.stops {
		if i := strings.Index(u.held[:min(len(u.held), end+len(stop))], stop); i >= 0 && i < end {
			end, stopped = i, true
		}
	}
	if !stopped {
		for _, stop := range u.stops {
			for n := min(len(stop)-1, len(u.held)); n > 0; n-- {
				if strings.HasSuffix(u.held, stop[:n]) {
					end = min(end, len(u.held)-n)
					break
				}
			}
		}
	}
	text, u.held = u.held[:end], u.held[end:]
	return text, stopped
}

// Flush returns what is held back, at the end of a text that no stop has ended.
func (u *Until) Flush() string {
	text := u.held
	u.held = ""
	return text
}
