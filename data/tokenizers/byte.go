package tokenizers

import "sparrow/data"

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
