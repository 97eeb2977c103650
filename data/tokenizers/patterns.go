package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// finder returns the matches of a pattern in a text, in order, none of no length.
type finder func(text string) [][2]int

// hfPattern is {"String": "..."} or {"Regex": "..."}.
type hfPattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// UnmarshalJSON also takes a plain string, as some files write.
func (p *hfPattern) UnmarshalJSON(content []byte) error {
	var text string
	if json.Unmarshal(content, &text) == nil {
		p.String = &text
		return nil
	}
	type plain hfPattern
	return json.Unmarshal(content, (*plain)(p))
}

func (p *hfPattern) finder() (finder, error) {
	switch {
	case p.String != nil && *p.String != "":
		content := *p.String
		return func(text string) (all [][2]int) {
			for at := 0; ; {
				i := strings.Index(text[at:], content)
				if i < 0 {
					return all
				}
				all = append(all, [2]int{at + i, at + i + len(content)})
				at += i + len(content)
			}
		}, nil
	case p.Regex != nil && *p.Regex != "":
		return regexFinder(*p.Regex)
	}
	return nil, errors.New("a pattern that is empty")
}

// gpt2Pattern is that of the pre-tokenizer ByteLevel, for which wordLength is written out.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// regexFinder translates an expression of Oniguruma, by which Hugging Face matches, to Go's package regexp, which takes time
// that is linear in the text whatever the expression. Its classes \s, \d and \w are those of Unicode. The one look-ahead
// that published tokenizers use, \s+(?!\S), is done by hand: white space before a word leaves its last rune to the word.
// Other look-arounds, references and possessive repetitions are errors.
func regexFinder(pattern string) (finder, error) {
	if pattern == gpt2Pattern {
		return func(text string) (all [][2]int) {
			for at := 0; at < len(text); {
				n := wordLength(text[at:])
				all = append(all, [2]int{at, at + n})
				at += n
			}
			return all
		}, nil
	}
	const lookAhead = `\s+(?!\S)`
	translated, ahead := pattern, false
	if i := strings.Index(pattern, lookAhead); i >= 0 {
		// The alternative that follows it, \s+, takes what it leaves: a single rune.
		translated = pattern[:i] + `(?P<ahead>\s+)` + pattern[i+len(lookAhead):]
		ahead = true
	}
	translated, err := unicodeClasses(translated)
	if err != nil {
		return nil, fmt.Errorf("the expression %.200q: %w", pattern, err)
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("the expression %.200q: %w", pattern, err)
	}
	group := re.SubexpIndex("ahead")
	if !ahead {
		return func(text string) (all [][2]int) {
			for _, m := range re.FindAllStringIndex(text, -1) {
				if m[1] > m[0] {
					all = append(all, [2]int(m))
				}
			}
			return all
		}, nil
	}
	return func(text string) (all [][2]int) {
		for at := 0; at < len(text); {
			m := re.FindStringSubmatchIndex(text[at:])
			if m == nil {
				return all
			}
			from, to := at+m[0], at+m[1]
			if m[2*group] >= 0 && to < len(text) && to-from > 1 {
				if r, size := utf8.DecodeLastRuneInString(text[from:to]); isSpace(r) && size < to-from {
					to -= size
				}
			}
			if to == from {
				_, size := utf8.DecodeRuneInString(text[to:])
				at = to + size
				continue
			}
			all = append(all, [2]int{from, to})
			at = to
		}
		return all
	}, nil
}

// spaces are the runes of \s in Unicode, as the inside of a class.
const spaces = `\t-\r \x{85}\p{Z}`

// unicodeClasses spells \s, \d, \w and their opposites as classes of Unicode, which in Go are those of ASCII.
func unicodeClasses(pattern string) (string, error) {
	const (
		digits = `\p{Nd}`
		words  = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}`
	)
	var b strings.Builder
	inside, repeated := false, false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		// A brace that ends a repetition; that of \p{L} ends a class.
		open := strings.LastIndexByte(pattern[:i], '{')
		ends := c == '}' && open > 1 && pattern[open-1] != 'p' && pattern[open-1] != 'P' && pattern[open-1] != 'x'
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			class := ""
			switch pattern[i] | 0x20 {
			case 's':
				class = spaces
			case 'd':
				class = digits
			case 'w':
				class = words
			}
			switch upper := pattern[i] < 'a'; {
			case pattern[i] >= '1' && pattern[i] <= '9':
				return "", errors.New("references are not supported")
			case class == "":
				b.WriteByte('\\')
				b.WriteByte(pattern[i])
			case upper && inside:
				return "", fmt.Errorf(`\%c within [] is not supported`, pattern[i])
			case upper:
				b.WriteString("[^" + class + "]")
			case inside:
				b.WriteString(class)
			default:
				b.WriteString("[" + class + "]")
			}
		case c == '[' && !inside:
			inside = true
			b.WriteByte(c)
			if i+1 < len(pattern) && pattern[i+1] == '^' {
				i++
				b.WriteByte('^')
			}
		case c == '[':
			return "", errors.New("a class within a class is not supported")
		case c == '&' && inside && strings.HasPrefix(pattern[i:], "&&"):
			return "", errors.New("intersections of classes are not supported")
		case c == ']' && inside:
			inside = false
			b.WriteByte(c)
		case c == '(' && !inside && (strings.HasPrefix(pattern[i:], "(?=") || strings.HasPrefix(pattern[i:], "(?!") || strings.HasPrefix(pattern[i:], "(?<") || strings.HasPrefix(pattern[i:], "(?>")):
			return "", errors.New("look-around is not supported but for \\s+(?!\\S)")
		case c == '+' && !inside && repeated:
			return "", errors.New("possessive repetition is not supported")
		default:
			b.WriteByte(c)
		}
		repeated = !inside && (c == '+' || c == '*' || c == '?' || ends)
	}
	return b.String(), nil
}
