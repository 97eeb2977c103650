package tokenizers

import (
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// nextWord returns the first word of text and what follows it; the word is empty at the end of the text.
//
// A word is a run of letters, marks, digits and apostrophes between them; any other character that is neither white space
// nor a control character is a word of its own. English contractions are two words, as in the Penn Treebank: 's 'm 'd 're
// 've 'll and n't are cut off ("don't" is "do" "n't") and stand for themselves where they are cut off already ("do n't").
// So text that was cut by that convention, such as GLUE's, is cut at the same places, and the words are those that GloVe
// has vectors for. The typographic apostrophe U+2019 counts as an apostrophe.
func nextWord(text string) (word, rest string) {
	for i, r := range text {
		switch {
		case isWordRune(r):
			n := runLength(text[i:])
			n -= cliticLength(text[i : i+n])
			return text[i : i+n], text[i+n:]
		case isApostrophe(r):
			n := utf8.RuneLen(r)
			if run := runLength(text[i+n:]); run > 0 && isClitic(text[i+n:i+n+run]) {
				n += run
			}
			return text[i : i+n], text[i+n:]
		case r != utf8.RuneError && !unicode.IsSpace(r) && !unicode.IsControl(r):
			n := utf8.RuneLen(r)
			return text[i : i+n], text[i+n:]
		}
	}
	return "", ""
}

func isApostrophe(r rune) bool { return r == '\'' || r == '’' }

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

// runLength returns the length of the letters, marks, digits and inner apostrophes that text begins with.
func runLength(text string) int {
	end := 0
	for i, r := range text {
		switch {
		case isWordRune(r):
			end = i + utf8.RuneLen(r)
		case isApostrophe(r) && end == i && i > 0: // inner only if a letter follows
		default:
			return end
		}
	}
	return end
}

// cliticLength returns how much of a run belongs to the contraction it ends with; 0 if it has none or is one.
func cliticLength(run string) int {
	if len(run) > 3 && strings.EqualFold(run[len(run)-3:], "n't") {
		return 3
	}
	if n := len("n’t"); len(run) > n && strings.EqualFold(run[len(run)-n:], "n’t") {
		return n
	}
	if i := strings.LastIndexAny(run, "'’"); i > 0 {
		_, size := utf8.DecodeRuneInString(run[i:])
		if isClitic(run[i+size:]) {
			return len(run) - i
		}
	}
	return 0
}

// isClitic reports whether letters are what follows the apostrophe of a contraction.
func isClitic(letters string) bool {
	switch len(letters) {
	case 1:
		switch letters[0] | 0x20 {
		case 's', 'm', 'd':
			return true
		}
	case 2:
		switch string([]byte{letters[0] | 0x20, letters[1] | 0x20}) {
		case "re", "ve", "ll":
			return true
		}
	}
	return false
}

// wordFolder turns words into the form in which the vocabulary has them. It is the working memory of one goroutine.
type wordFolder struct {
	lowercase bool
	buffer    []byte
}

// fold returns the form of word, which is valid until the next call.
func (f *wordFolder) fold(word string) string {
	plain := true
	for i := range len(word) {
		if c := word[i]; c >= utf8.RuneSelf {
			if f.lowercase {
				word = strings.ToLower(word)
			}
			return strings.ReplaceAll(word, "’", "'")
		} else if 'A' <= c && c <= 'Z' {
			plain = false
		}
	}
	if plain || !f.lowercase {
		return word
	}
	f.buffer = append(f.buffer[:0], word...)
	for i, c := range f.buffer {
		if 'A' <= c && c <= 'Z' {
			f.buffer[i] = c | 0x20
		}
	}
	return unsafe.String(unsafe.SliceData(f.buffer), len(f.buffer)) // most words are seen before: no copy for a look-up
}

// eachWord calls add with the form of each word of text, valid during the call.
func (f *wordFolder) eachWord(text string, add func(word string)) {
	for {
		word, rest := nextWord(text)
		if word == "" {
			return
		}
		add(f.fold(word))
		text = rest
	}
}
