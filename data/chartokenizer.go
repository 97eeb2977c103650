package data

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// CharTokenizer maps each Unicode code point of its alphabet to an id. Id 0 stands for every other one.
type CharTokenizer struct {
	runes []rune       // sorted; rune i has id i+1
	ids   map[rune]int // of runes
}

// charUnknown is the id of runes outside the alphabet.
const charUnknown = 0

// NewCharTokenizer returns the tokenizer whose alphabet is the runes of text and the document separator. Text that is
// not valid UTF-8 is an error that names the byte.
func NewCharTokenizer(text []byte) (*CharTokenizer, error) {
	seen := map[rune]bool{separatorByte: true}
	// Nearly all runes of most text are ASCII, which needs no map.
	var ascii [utf8.RuneSelf]bool
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			ascii[c] = true
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return nil, invalidUTF8(text, i)
		}
		seen[r] = true
		i += size
	}
	for c, used := range ascii {
		if used {
			seen[rune(c)] = true
		}
	}
	runes := make([]rune, 0, len(seen))
	for r := range seen {
		runes = append(runes, r)
	}
	slices.Sort(runes)
	return newCharTokenizer(runes), nil
}

func newCharTokenizer(runes []rune) *CharTokenizer {
	t := &CharTokenizer{runes: runes, ids: make(map[rune]int, len(runes))}
	for i, r := range runes {
		t.ids[r] = i + 1
	}
	return t
}

// charFile is the content of tokenizer.json.
type charFile struct {
	Type  string `json:"type"`
	Runes string `json:"runes"` // rune i has id i+1
}

func loadChar(content []byte) (*CharTokenizer, error) {
	var file charFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("data: tokenizer.json: %w", err)
	}
	runes := []rune(file.Runes)
	for i := 1; i < len(runes); i++ {
		if runes[i] <= runes[i-1] {
			return nil, fmt.Errorf(`data: tokenizer.json: "runes" has %q after %q, want ascending order without repetition`, runes[i], runes[i-1])
		}
	}
	if len(runes) == 0 || runes[0] != separatorByte {
		return nil, fmt.Errorf(`data: tokenizer.json: "runes" does not begin with the separator U+0000`)
	}
	return newCharTokenizer(runes), nil
}

// Encode returns one id a rune, charUnknown for runes outside the alphabet. Text that is not valid UTF-8 is an error
// that names the byte.
func (t *CharTokenizer) Encode(text string) ([]int, error) {
	ids := make([]int, 0, len(text))
	for i, r := range text {
		if r == utf8.RuneError && !validRuneAt(text, i) {
			return nil, invalidUTF8(text, i)
		}
		ids = append(ids, t.ids[r]) // a missing rune reads 0 = charUnknown
	}
	return ids, nil
}

// validRuneAt tells a U+FFFD in the text from a decoding error.
func validRuneAt(text string, i int) bool {
	_, size := utf8.DecodeRuneInString(text[i:])
	return size > 1
}

func invalidUTF8[T string | []byte](text T, at int) error {
	return fmt.Errorf("data: text is not valid UTF-8 at byte %d (0x%02x); the byte tokenizer takes any content", at, text[at])
}

// Decode returns the runes of ids; charUnknown becomes U+FFFD.
func (t *CharTokenizer) Decode(ids []int) string { return decodeBytes(t, ids) }

func (t *CharTokenizer) tokenText(id int) (string, bool) {
	if id <= charUnknown || id > len(t.runes) {
		return "", false
	}
	return string(t.runes[id-1]), true
}

// VocabSize returns the size of the alphabet plus one for unknown runes.
func (t *CharTokenizer) VocabSize() int { return len(t.runes) + 1 }

// Kind returns "char".
func (t *CharTokenizer) Kind() string { return "char" }

// Separator returns the id of U+0000.
func (t *CharTokenizer) Separator() int { return t.ids[separatorByte] }

// Save returns the alphabet as JSON.
func (t *CharTokenizer) Save() []byte {
	content, err := json.Marshal(charFile{Type: "char", Runes: string(t.runes)})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return append(content, '\n')
}
