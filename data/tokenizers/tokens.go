package tokenizers

import "fmt"

// Tokens is a read-only stream of token ids, held in the narrowest integer that the vocabulary allows: one byte an id
// up to 256 ids, two up to 65,536, four beyond. A corpus of 90 MB in bytes thus takes 90 MB, not 720.
type Tokens struct {
	narrow []uint8
	medium []uint16
	wide   []int32
}

// NewTokens packs ids of a vocabulary of vocabSize ids. An id outside [0, vocabSize) is an error that names its place.
func NewTokens(vocabSize int, ids []int) (*Tokens, error) {
	t := MakeTokens(vocabSize, len(ids))
	for i, id := range ids {
		if id < 0 || id >= vocabSize {
			return nil, fmt.Errorf("data: token %d of the stream is %d, want an id in [0, %d)", i, id, vocabSize)
		}
		t.Append(id)
	}
	return t, nil
}

// BytesAsTokens wraps text without copying it: under the byte tokenizer the text is its own token stream.
func BytesAsTokens(text []byte) *Tokens { return &Tokens{narrow: text} }

// MakeTokens returns a stream with room for capacity ids of a vocabulary of vocabSize.
func MakeTokens(vocabSize, capacity int) *Tokens {
	switch {
	case vocabSize <= 1<<8:
		return &Tokens{narrow: make([]uint8, 0, capacity)}
	case vocabSize <= 1<<16:
		return &Tokens{medium: make([]uint16, 0, capacity)}
	default:
		return &Tokens{wide: make([]int32, 0, capacity)}
	}
}

// Append adds one id that is known to fit.
func (t *Tokens) Append(id int) {
	switch {
	case t.narrow != nil:
		t.narrow = append(t.narrow, uint8(id))
	case t.medium != nil:
		t.medium = append(t.medium, uint16(id))
	default:
		t.wide = append(t.wide, int32(id))
	}
}

// AppendAll adds the ids of a stream over the same vocabulary.
func (t *Tokens) AppendAll(x *Tokens) {
	t.narrow = append(t.narrow, x.narrow...)
	t.medium = append(t.medium, x.medium...)
	t.wide = append(t.wide, x.wide...)
}

// Len returns the number of tokens.
func (t *Tokens) Len() int { return len(t.narrow) + len(t.medium) + len(t.wide) }

// Bytes returns the memory the ids take.
func (t *Tokens) Bytes() int { return len(t.narrow) + 2*len(t.medium) + 4*len(t.wide) }

// Copy sets dst[i] to token from+i. It panics when [from, from+len(dst)) is not within the stream, as slicing does.
func (t *Tokens) Copy(dst []int, from int) {
	switch to := from + len(dst); {
	case t.narrow != nil:
		widen(dst, t.narrow[from:to])
	case t.medium != nil:
		widen(dst, t.medium[from:to])
	default:
		widen(dst, t.wide[from:to])
	}
}

func widen[T uint8 | uint16 | int32](dst []int, src []T) {
	for i, id := range src {
		dst[i] = int(id)
	}
}
