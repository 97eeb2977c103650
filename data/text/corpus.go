package text

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"unicode/utf8"

	"sparrow/data"
)

// Splits are the text of both splits.
type Splits struct {
	Train, Validation data.Documents
	Files             int // files read, over both splits
}

// hash returns the SHA-256 of both splits in order, as hexadecimal. The length before each split keeps apart two corpora
// that are cut at different places. File names are left out: a corpus that moves is still the same.
func (c *Splits) hash() string {
	h := sha256.New()
	for _, s := range []*data.Documents{&c.Train, &c.Validation} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(s.Text))))
		h.Write(s.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// lineCut returns a place near at, which is below len(text), where text can be cut: at itself at the start of a line, else
// after the next line break, else after the last one, else before the rune at that place.
func lineCut(text []byte, at int) int {
	if at > 0 && text[at-1] == '\n' {
		return at
	}
	if next := bytes.IndexByte(text[at:], '\n'); next >= 0 && at+next+1 < len(text) {
		return at + next + 1
	}
	return lineCutBefore(text, at)
}

// lineCutBefore is lineCut without going beyond at.
func lineCutBefore(text []byte, at int) int {
	if last := bytes.LastIndexByte(text[:at], '\n'); last >= 0 {
		return last + 1
	}
	// Move back to the start of a UTF-8 sequence; content that is not UTF-8 may be cut anywhere.
	for back := range min(utf8.UTFMax, at+1) {
		if utf8.RuneStart(text[at-back]) {
			return at - back
		}
	}
	return at
}
