package extend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"sparrow/data/tokenizers"
)

// meanings are vectors of the pieces of a tokenizer: of each the mean of those of the words in whose spelling it occurs (Liu et al.
// 2024). A piece of no word has none.
type meanings struct {
	encode func(ids []uint32, text string) ([]uint32, error)
	sums   []float64 // [pieces, dim]
	words  []int     // how many each sum is of
	ids    []uint32
}

func newMeanings(t tokenizers.Tokenizer) *meanings {
	return &meanings{encode: tokenizers.NewEncoder(t), words: make([]int, t.VocabSize())}
}

// add spreads the vector of a word over the pieces that spell it, as it stands alone and within a text, small and capitalised.
func (m *meanings) add(word string, v []float32) error {
	if m.sums == nil {
		m.sums = make([]float64, len(m.words)*len(v))
	}
	first, size := utf8.DecodeRuneInString(word)
	m.ids = m.ids[:0]
	forms := []string{word, " " + word}
	if upper := unicode.ToUpper(first); upper != first {
		capital := string(upper) + word[size:]
		forms = append(forms, capital, " "+capital)
	}
	var err error
	for _, form := range forms {
		if m.ids, err = m.encode(m.ids, form); err != nil {
			return err
		}
	}
	slices.Sort(m.ids)
	for _, id := range slices.Compact(m.ids) {
		m.words[id]++
		for i, x := range v {
			m.sums[int(id)*len(v)+i] += float64(x)
		}
	}
	return nil
}

// unit is the direction of a piece's vector; false: it has none.
func (m *meanings) unit(id int, dst []float32) bool {
	if m.words[id] == 0 {
		return false
	}
	row := m.sums[id*len(dst) : (id+1)*len(dst)]
	var squares float64
	for _, x := range row {
		squares += x * x
	}
	if squares == 0 {
		return false
	}
	scale := 1 / math.Sqrt(squares) // that of the mean is that of the sum
	for i, x := range row {
		dst[i] = float32(x * scale)
	}
	return true
}

// understand gives the pieces of two tokenizers vectors of the same words. dim is how many numbers a vector has.
func understand(ctx context.Context, words Words, before, after tokenizers.Tokenizer) (old, fresh *meanings, dim int, err error) {
	old, fresh = newMeanings(before), newMeanings(after)
	count := 0
	err = words.Each(ctx, func(word string, v []float32) error {
		count, dim = count+1, len(v)
		if err := old.add(word, v); err != nil {
			return err
		}
		return fresh.add(word, v)
	})
	if err == nil && count == 0 {
		err = errors.New("extend: vectors: there are no words")
	}
	return old, fresh, dim, err
}

// covered is how many of a tokenizer's pieces have a vector, special ones and single bytes left out, which no word needs. Fewer than
// half of the old ones are an error: the vectors are of another language or another vocabulary.
func (m *meanings) covered(pieces []tokenizers.Piece) (with, all int, err error) {
	for id, p := range pieces {
		if !p.Defined || p.Special || p.Byte {
			continue
		}
		if all++; m.words[id] > 0 {
			with++
		}
	}
	if 2*with < all {
		err = fmt.Errorf("extend: vectors: %d of %d tokens of the old vocabulary have one; want at least half: vectors of words of its language too, or more text", with, all)
	}
	return with, all, err
}
