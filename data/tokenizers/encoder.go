package tokenizers

// NewEncoder returns a function, for one goroutine, that appends the ids of a text. The text must be valid UTF-8, except
// for bytes.
func NewEncoder(tokenizer Tokenizer) func(ids []uint32, text string) ([]uint32, error) {
	var encode func(ids []uint32, text string) []uint32
	switch t := tokenizer.(type) {
	case *BPE:
		// A corpus repeats its words, so each goroutine remembers the ids of those it has seen.
		e := bpeEncoder{t: t, cache: map[string][]int32{}}
		encode = e.encode
	case *WordPiece:
		e := wordPieceEncoder{t: t, cache: map[string][]uint32{}}
		encode = e.encode
	case *WordTokenizer:
		encode = t.encoder()
	case *CharTokenizer:
		encode = t.encode
	default:
		return func(ids []uint32, text string) ([]uint32, error) {
			encoded, err := tokenizer.Encode(text)
			for _, id := range encoded {
				ids = append(ids, uint32(id))
			}
			return ids, err
		}
	}
	return func(ids []uint32, text string) ([]uint32, error) { return encode(ids, text), nil }
}

// NewDocumentEncoder returns a function, for one goroutine, that appends the ids of a document and the separator.
func NewDocumentEncoder(tokenizer Tokenizer) func(ids []uint32, document string) ([]uint32, error) {
	encode := NewEncoder(tokenizer)
	separator := tokenizer.Separator()
	return func(ids []uint32, document string) ([]uint32, error) {
		ids, err := encode(ids, document)
		if err != nil {
			return nil, err
		}
		if separator != NoSeparator {
			ids = append(ids, uint32(separator))
		}
		return ids, nil
	}
}
