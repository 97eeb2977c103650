package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitFunc cuts one piece.
type splitFunc func(p piece) []piece

func (f splitFunc) split(pieces []piece) []piece {
	out := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		for _, q := range f(p) {
			if q.text != "" {
				out = append(out, q)
			}
		}
	}
	return out
}

// splits applies several in turn.
type splits []preTokenizer

func (s splits) split(pieces []piece) []piece {
	for _, x := range s {
		pieces = x.split(pieces)
	}
	return pieces
}

// parsePreTokenizer reads a pre-tokenizer; nil where the file has none.
func parsePreTokenizer(raw json.RawMessage, depth int) (preTokenizer, error) {
	if absent(raw) {
		return nil, nil
	}
	if depth > maxComponents {
		return nil, fmt.Errorf("nested deeper than %d", maxComponents)
	}
	var c struct {
		component
		PreTokenizers  []json.RawMessage `json:"pretokenizers"`
		Pattern        *hfPattern        `json:"pattern"`
		Behavior       string            `json:"behavior"`
		Invert         bool              `json:"invert"`
		AddPrefixSpace *bool             `json:"add_prefix_space"`
		UseRegex       *bool             `json:"use_regex"`
		Replacement    string            `json:"replacement"`
		PrependScheme  string            `json:"prepend_scheme"`
		Split          *bool             `json:"split"`
		Individual     bool              `json:"individual_digits"`
		Delimiter      string            `json:"delimiter"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	switch c.Type {
	case "Sequence":
		var all splits
		for _, x := range c.PreTokenizers {
			p, err := parsePreTokenizer(x, depth+1)
			if err != nil {
				return nil, err
			}
			if p != nil {
				all = append(all, p)
			}
		}
		return all, nil
	case "ByteLevel":
		return byteLevel(isTrue(c.AddPrefixSpace), isTrue(c.UseRegex))
	case "Metaspace":
		return metaspace(c.Replacement, c.PrependScheme, c.AddPrefixSpace, isTrue(c.Split))
	case "Split":
		if c.Pattern == nil {
			return nil, errors.New("no pattern of Split")
		}
		find, err := c.Pattern.finder()
		if err != nil {
			return nil, err
		}
		return splitBy(find, c.Invert, c.Behavior)
	case "Digits":
		behavior := "Contiguous"
		if c.Individual {
			behavior = "Isolated"
		}
		return splitBy(runes(unicode.IsNumber), false, behavior)
	case "Punctuation":
		if c.Behavior == "" {
			c.Behavior = "Isolated"
		}
		return splitBy(runes(isBertPunctuation), false, c.Behavior)
	case "WhitespaceSplit":
		return splitBy(runes(unicode.IsSpace), false, "Removed")
	case "Whitespace":
		find, err := regexFinder(`\w+|[^\w\s]+`)
		if err != nil {
			return nil, err
		}
		return splitBy(find, true, "Removed")
	case "BertPreTokenizer":
		space, err := splitBy(runes(unicode.IsSpace), false, "Removed")
		if err != nil {
			return nil, err
		}
		punctuation, err := splitBy(runes(isBertPunctuation), false, "Isolated")
		return splits{space, punctuation}, err
	case "CharDelimiterSplit":
		if c.Delimiter == "" {
			return nil, errors.New("no delimiter of CharDelimiterSplit")
		}
		find, err := (&hfPattern{String: &c.Delimiter}).finder()
		if err != nil {
			return nil, err
		}
		return splitBy(find, false, "Removed")
	}
	return nil, fmt.Errorf("%q is not supported", c.Type)
}

// runes finds each rune of a class.
func runes(class func(rune) bool) finder {
	return func(text string) (all [][2]int) {
		for i, r := range text {
			if class(r) {
				all = append(all, [2]int{i, i + utf8.RuneLen(r)})
			}
		}
		return all
	}
}

// byteLevel is GPT-2's: words as wordLength cuts them, spelt in the runes that stand for bytes.
func byteLevel(prefixSpace, regex bool) (preTokenizer, error) {
	return splitFunc(func(p piece) []piece {
		text := p.text
		if prefixSpace && text[0] != ' ' {
			text = " " + text
		}
		var out []piece
		for len(text) > 0 {
			n := len(text)
			if regex {
				n = wordLength(text)
			}
			out = append(out, piece{toRunes(text[:n]), p.start && len(out) == 0})
			text = text[n:]
		}
		return out
	}), nil
}

// metaspace is sentencepiece's: spaces become a visible mark, with which a word begins.
func metaspace(replacement, scheme string, addPrefix *bool, split bool) (preTokenizer, error) {
	if utf8.RuneCountInString(replacement) != 1 {
		return nil, fmt.Errorf("the replacement %.20q of Metaspace, want one character", replacement)
	}
	if scheme == "" { // files written before 2024
		scheme = "never"
		if isTrue(addPrefix) {
			scheme = "always"
		}
	}
	if !slices.Contains([]string{"always", "first", "never"}, scheme) {
		return nil, fmt.Errorf("prepend_scheme %.20q of Metaspace, want always, first or never", scheme)
	}
	find, err := (&hfPattern{String: &replacement}).finder()
	if err != nil {
		return nil, err
	}
	return splitFunc(func(p piece) []piece {
		text := strings.ReplaceAll(p.text, " ", replacement)
		if !strings.HasPrefix(text, replacement) && (scheme == "always" || scheme == "first" && p.start) {
			text = replacement + text
		}
		if !split {
			return []piece{{text, p.start}}
		}
		return cutPieces(piece{text, p.start}, find(text), false, mergedWithNext)
	}), nil
}

// behavior is what becomes of the matches of a split.
type behavior int

const (
	removed behavior = iota
	isolated
	contiguous
	mergedWithPrevious
	mergedWithNext
)

var behaviors = map[string]behavior{
	"Removed": removed, "Isolated": isolated, "Contiguous": contiguous, "MergedWithPrevious": mergedWithPrevious, "MergedWithNext": mergedWithNext,
	"removed": removed, "isolated": isolated, "contiguous": contiguous, "merged_with_previous": mergedWithPrevious, "merged_with_next": mergedWithNext,
}

func splitBy(find finder, invert bool, name string) (preTokenizer, error) {
	b, ok := behaviors[name]
	if !ok {
		return nil, fmt.Errorf("the behavior %.40q of a split is not known", name)
	}
	return splitFunc(func(p piece) []piece { return cutPieces(p, find(p.text), invert, b) }), nil
}

// span is a part of a text that matches or does not.
type span struct {
	from, to int
	match    bool
}

// cutPieces cuts a piece at matches.
func cutPieces(p piece, matches [][2]int, invert bool, b behavior) []piece {
	var spans []span
	at := 0
	for _, m := range matches {
		if at < m[0] {
			spans = append(spans, span{at, m[0], invert})
		}
		spans = append(spans, span{m[0], m[1], !invert})
		at = m[1]
	}
	if at < len(p.text) {
		spans = append(spans, span{at, len(p.text), invert})
	}
	spans = merged(spans, b)
	out := make([]piece, 0, len(spans))
	for _, s := range spans {
		if b != removed || !s.match {
			out = append(out, piece{p.text[s.from:s.to], p.start && s.from == 0})
		}
	}
	return out
}

// merged joins neighbours as the behavior says.
func merged(spans []span, b behavior) []span {
	var out []span
	previous := false
	switch b {
	case contiguous:
		for _, s := range spans {
			if len(out) > 0 && s.match == previous {
				out[len(out)-1].to = s.to
			} else {
				out = append(out, s)
			}
			previous = s.match
		}
	case mergedWithPrevious:
		for _, s := range spans {
			if len(out) > 0 && s.match && !previous {
				out[len(out)-1].to = s.to
			} else {
				out = append(out, s)
			}
			previous = s.match
		}
	case mergedWithNext:
		for _, s := range slices.Backward(spans) {
			if len(out) > 0 && s.match && !previous {
				out[len(out)-1].from = s.from
			} else {
				out = append(out, s)
			}
			previous = s.match
		}
		slices.Reverse(out)
	default:
		return spans
	}
	return out
}
