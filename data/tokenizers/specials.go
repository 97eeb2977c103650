package tokenizers

// SpecialIDs are the ids of a tokenizer that stand for no text; -1 where it has none.
type SpecialIDs struct {
	Pad       int // fills the end of short rows; 0 where there is none
	Unknown   int // a word outside the vocabulary
	Start     int // [CLS], before an example
	Separator int // [SEP] after each text of an example; without Start, between the texts of a pair
	Mask      int // [MASK], to predict
}

// Specials returns the special ids of a tokenizer.
func Specials(tokenizer Tokenizer) SpecialIDs {
	s := SpecialIDs{Unknown: -1, Start: -1, Separator: tokenizer.Separator(), Mask: -1}
	switch t := tokenizer.(type) {
	case *WordTokenizer:
		s.Pad, s.Unknown = wordPad, wordUnknown
	case *CharTokenizer:
		s.Unknown = charUnknown
	case *WordPiece:
		s.Pad, s.Unknown = max(t.special("[PAD]"), 0), t.unknown
		s.Start, s.Separator, s.Mask = t.special("[CLS]"), t.special("[SEP]"), t.special("[MASK]")
		if s.Start < 0 || s.Separator < 0 {
			s.Start = -1 // not BERT's form: neither is put around a text
		}
	}
	return s
}
