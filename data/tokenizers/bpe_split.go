package tokenizers

import (
	"unicode"
	"unicode/utf8"
)

// wordLength returns the length in bytes of the first pre-token of text, which must not be empty. Byte-pair merges never
// cross the end of a pre-token. The rule is that of GPT-2, which Hugging Face calls ByteLevel:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// It is written out because package regexp has no look-ahead, and for speed: it sees every byte of the corpus.
func wordLength(text string) int {
	if n := contraction(text); n > 0 {
		return n
	}
	class, size := classify(text)
	start := 0
	if text[0] == ' ' && len(text) > 1 {
		// A space belongs to the run that follows it, unless that is white space as well.
		if next, nextSize := classify(text[1:]); next != classSpace {
			class, size, start = next, nextSize, 1
		}
	}
	end, last := start+size, start
	for end < len(text) {
		next, nextSize := classify(text[end:])
		if next != class {
			break
		}
		last = end
		end += nextSize
	}
	if class == classSpace && end < len(text) && last > 0 {
		return last // \s+(?!\S): the last white space before a word is left to the word, or alone
	}
	return end
}

// contraction returns the length of the English contraction that text begins with, or 0.
func contraction(text string) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) >= 3 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

type runeClass uint8

const (
	classOther  runeClass = iota
	classLetter           // \p{L}
	classNumber           // \p{N}
	classSpace            // \s
)

// asciiClass has the classes of the first 128 runes.
var asciiClass = func() (table [utf8.RuneSelf]runeClass) {
	for c := range table {
		table[c] = unicodeClass(rune(c))
	}
	return table
}()

func unicodeClass(r rune) runeClass {
	switch {
	case unicode.IsLetter(r):
		return classLetter
	case unicode.IsNumber(r):
		return classNumber
	case unicode.IsSpace(r):
		return classSpace
	default:
		return classOther
	}
}

// classify returns the class and the size of the first rune of text.
func classify(text string) (runeClass, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, size := utf8.DecodeRuneInString(text)
	return unicodeClass(r), size
}

func isSpace(r rune) bool { return unicodeClass(r) == classSpace }
