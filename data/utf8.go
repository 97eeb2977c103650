package data

import (
	"fmt"
	"unicode/utf8"
)

// checkUTF8 returns an error that names the first byte of text that is not valid UTF-8.
func checkUTF8(text string) error {
	if at := invalidAt(text); at >= 0 {
		return fmt.Errorf("data: text is not valid UTF-8 at byte %d (0x%02x); the byte tokenizer takes any content", at, text[at])
	}
	return nil
}

// invalidAt returns the place of the first byte that is not valid UTF-8, or -1.
func invalidAt(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}
