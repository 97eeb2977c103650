package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"sparrow/data"
)

// CharTokenizer maps each Unicode code point of its alphabet to an id. Id 0 stands for every other one.
type CharTokenizer struct {
	runes []rune          // sorted; rune i has id i+1
	ids   map[rune]uint32 // of runes
	ascii [utf8.RuneSelf]uint32
}

// charUnknown is the id of runes outside the alphabet.
const charUnknown = 0

// NewCharTokenizer returns the tokenizer whose alphabet is the runes of text and the document separator. Text that is
// not valid UTF-8 is an error that names the byte.
func NewCharTokenizer(text string) (*CharTokenizer, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	// Nearly all runes of most text are ASCII, which needs no map.
	ascii, seen := [utf8.RuneSelf]bool{data.Separator: true}, map[rune]bool{}
	for _, r := range text {
		if r < utf8.RuneSelf {
			ascii[r] = true
		} else {
			seen[r] = true
		}
	}
	for c, used := range ascii {
		if used {
			seen[rune(c)] = true
		}
	}
	return newCharTokenizer(slices.Sorted(maps.Keys(seen))), nil
}

func newCharTokenizer(runes []rune) *CharTokenizer {
	t := &CharTokenizer{runes: runes, ids: make(map[rune]uint32, len(runes))}
	for i, r := range runes {
		t.ids[r] = uint32(i + 1)
		if r < utf8.RuneSelf {
			t.ascii[r] = uint32(i + 1)
		}
	}
	return t
}

// charFile is the content of tokenizer.json.
type charFile struct {
	Type  string `json:"type"`
	Runes string `json:"runes"` // rune i has id i+1
}

func parseChar(content []byte) (*CharTokenizer, error) {
	var file charFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	runes := []rune(file.Runes)
	for i := 1; i < len(runes); i++ {
		if runes[i] <= runes[i-1] {
			return nil, fmt.Errorf(`"runes" has %q after %q, want ascending order without repetition`, runes[i], runes[i-1])
		}
	}
	if len(runes) == 0 || runes[0] != data.Separator {
		return nil, errors.New(`"runes" does not begin with the separator U+0000`)
	}
	return newCharTokenizer(runes), nil
}

// Encode returns one id a rune, charUnknown for runes outside the alphabet. Text that is not valid UTF-8 is an error
// that names the byte.
func (t *CharTokenizer) Encode(text string) ([]int, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	return widened(t.encode(make([]uint32, 0, len(text)), text)), nil
}

// encode appends the ids of text, which must be valid UTF-8, to ids.
func (t *CharTokenizer) encode(ids []uint32, text string) []uint32 {
	for _, r := range text {
		if r < utf8.RuneSelf {
			ids = append(ids, t.ascii[r])
		} else {
			ids = append(ids, t.ids[r]) // a missing rune reads 0 = charUnknown
		}
	}
	return ids
}

// Decode returns the runes of ids; charUnknown becomes U+FFFD.
func (t *CharTokenizer) Decode(ids []int) string { return decodeTokens(t, ids) }

func (t *CharTokenizer) tokenText(id int, _ bool) (string, bool) {
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
func (t *CharTokenizer) Separator() int { return int(t.ids[data.Separator]) }

// Save returns the alphabet as JSON.
func (t *CharTokenizer) Save() []byte {
	content, err := json.Marshal(charFile{Type: "char", Runes: string(t.runes)})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return append(content, '\n')
}

// ByteTokenizer maps each byte to its value: 256 ids, no training, no unknown text.
type ByteTokenizer struct{}

// Encode returns the bytes of text. It never fails.
func (ByteTokenizer) Encode(text string) ([]int, error) {
	ids := make([]int, len(text))
	for i := range len(text) {
		ids[i] = int(text[i])
	}
	return ids, nil
}

// Decode returns the bytes of ids.
func (t ByteTokenizer) Decode(ids []int) string { return decodeTokens(t, ids) }

// VocabSize returns 256.
func (ByteTokenizer) VocabSize() int { return 256 }

// Kind returns "byte".
func (ByteTokenizer) Kind() string { return "byte" }

// Separator returns 0.
func (ByteTokenizer) Separator() int { return data.Separator }

// Save returns {"type": "byte"}.
func (ByteTokenizer) Save() []byte { return []byte("{\"type\": \"byte\"}\n") }

func (ByteTokenizer) tokenText(id int, _ bool) (string, bool) {
	if id < 0 || id > 255 {
		return "", false
	}
	return singleBytes[id : id+1], true
}

// singleBytes holds the bytes 0 to 255; a slice of length one of it is the text of one byte token.
var singleBytes = func() string {
	var b [256]byte
	for i := range b {
		b[i] = byte(i)
	}
	return string(b[:])
}()
