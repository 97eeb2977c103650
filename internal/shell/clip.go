package shell

import (
	"strings"
	"unicode/utf8"
)

// maxEcho bounds what a message repeats of a value, in characters.
const maxEcho = 200

// Clip returns a message in which each quoted text and each word has at most 200 characters: a value that a message repeats
// is recognized by its beginning. A command that a line advises, after "by: ", stays as it is, for it must work.
func Clip(message string) string {
	if utf8.RuneCountInString(message) <= maxEcho {
		return message
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		advice := strings.LastIndex(line, " by: ")
		if advice < 0 {
			advice = len(line)
		}
		lines[i] = clipWords(line[:advice]) + line[advice:]
	}
	return strings.Join(lines, "\n")
}

func clipWords(line string) string {
	var b strings.Builder
	for len(line) > 0 {
		n := quoted(line)
		if n == 0 {
			n = wordLen(line)
		}
		b.WriteString(clipWord(line[:n]))
		line = line[n:]
	}
	return b.String()
}

// wordLen is the length of the space or the word that a line begins with.
func wordLen(line string) int {
	if line[0] == ' ' {
		return 1
	}
	if n := strings.IndexAny(line[1:], ` "`); n >= 0 {
		return 1 + n
	}
	return len(line)
}

// quoted is the length of the quoted text that a line begins with; 0: it begins with none.
func quoted(line string) int {
	if line[0] != '"' {
		return 0
	}
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// clipWord cuts a word, or a quoted text with its quotes kept.
func clipWord(word string) string {
	if utf8.RuneCountInString(word) <= maxEcho {
		return word
	}
	end := "..."
	if quoted(word) == len(word) {
		end += `"`
	}
	return string([]rune(word)[:maxEcho-len(end)]) + end
}
