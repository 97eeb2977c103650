package llama2c

import (
	"errors"
	"fmt"
	"math"

	"sparrow/checkpoints/foreign"
)

// Piece is an entry of a vocabulary: its bytes, which may be no text by themselves, and its rank in merging.
type Piece struct {
	Text  string
	Score float32
}

// OpenTokenizer reads a tokenizer (tok512.bin): the pieces in the order of their ids. Errors match [foreign.ErrFile].
func OpenTokenizer(path string) ([]Piece, error) {
	data, free, err := foreign.Map(path)
	if err != nil {
		return nil, err
	}
	pieces, err := ParseTokenizer(data)
	if err := errors.Join(err, free()); err != nil {
		return nil, foreign.Fail(path, err)
	}
	return pieces, nil
}

// ParseTokenizer reads a tokenizer that lies in memory: the length of the longest piece, then for each its score, its
// length and its bytes, up to the end.
func ParseTokenizer(data []byte) ([]Piece, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("has %d bytes; a tokenizer of llama2.c has at least 4", len(data))
	}
	longest := int(int32(le.Uint32(data)))
	var pieces []Piece
	for data = data[4:]; len(data) > 0; {
		if len(data) < 8 {
			return nil, fmt.Errorf("ends within piece %d", len(pieces))
		}
		score, n := math.Float32frombits(le.Uint32(data)), int(int32(le.Uint32(data[4:])))
		data = data[8:]
		if n < 0 || n > longest || n > len(data) {
			return nil, fmt.Errorf("piece %d has %d bytes, of %d left and at most %d in a piece", len(pieces), n, len(data), longest)
		}
		if score != score {
			return nil, fmt.Errorf("piece %d has no number as its score", len(pieces))
		}
		pieces = append(pieces, Piece{Text: string(data[:n]), Score: score})
		data = data[n:]
	}
	return pieces, nil
}
