package labelled

import (
	"fmt"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// TextEncoder makes examples of texts: tokens, special tokens around them, and a cut to the longest length. It is for one
// goroutine.
//
//	BERT (wordpiece):  [CLS] a [SEP]      [CLS] a [SEP] b [SEP]     types 0 up to the first [SEP], then 1
//	other tokenizers:  a                  a separator b             types 0 up to the separator, then 1
//
// A tokenizer whose file says what stands around texts ([tokenizers.Frame]) is taken at its word.
//
// A text without a token, such as one of control characters, becomes one unknown token where nothing stands around it.
type TextEncoder struct {
	tokenizer tokenizers.Tokenizer
	specials  tokenizers.SpecialIDs
	maxLen    int
	headTail  bool
	frame     *tokenizers.Frame // nil: the file says nothing
	encode    func(ids []uint32, text string) ([]uint32, error)

	ids, second []uint32
}

// NewTextEncoder returns an encoder with max_len and cut of cfg. It fails when max_len is out of range.
func NewTextEncoder(tokenizer tokenizers.Tokenizer, cfg Lengths) (*TextEncoder, error) {
	if cfg.MaxLen < MinMaxLen || cfg.MaxLen > MaxMaxLen {
		return nil, fmt.Errorf("data: max_len = %d is out of range; want %d to %d tokens", cfg.MaxLen, MinMaxLen, MaxMaxLen)
	}
	return &TextEncoder{tokenizer: tokenizer, specials: tokenizers.Specials(tokenizer), maxLen: cfg.MaxLen, headTail: cfg.Cut == "head_tail",
		frame: tokenizers.FrameOf(tokenizer), encode: tokenizers.NewEncoder(tokenizer)}, nil
}

// Encode returns the tokens and types of one text or a pair; the label is 0. Text that is not valid UTF-8 is an error that
// names the byte, and so is another number of texts.
func (e *TextEncoder) Encode(texts ...string) (Example, error) {
	if len(texts) != 1 && len(texts) != 2 {
		return Example{}, fmt.Errorf("data: an example of %d texts, want 1 or 2", len(texts))
	}
	second := ""
	for _, text := range texts {
		if at := data.InvalidUTF8(text); at >= 0 {
			return Example{}, fmt.Errorf("data: not valid UTF-8 at byte %d (0x%02x); convert the text", at, text[at])
		}
	}
	if len(texts) == 2 {
		second = texts[1]
	}
	ids, typed, _, err := e.append(nil, texts[0], second, len(texts) == 2)
	if err != nil {
		return Example{}, err
	}
	x := Example{Tokens: make([]int, len(ids)), Types: make([]int, len(ids))}
	for i, id := range ids {
		x.Tokens[i] = int(id)
	}
	for i := typed; i < len(ids); i++ {
		x.Types[i] = 1
	}
	return x, nil
}

// Words returns what each token of Encode stands for, special tokens included: for words the text as it was written, for
// other tokenizers the token.
func (e *TextEncoder) Words(texts ...string) ([]string, error) {
	x, err := e.Encode(texts...)
	if err != nil {
		return nil, err
	}
	words := make([]string, len(x.Tokens))
	for i, id := range x.Tokens {
		if words[i] = e.tokenizer.Decode([]int{id}); words[i] == "" {
			words[i] = "\ufffd"
		}
	}
	t, ok := e.tokenizer.(*tokenizers.WordTokenizer)
	if !ok {
		return words, nil
	}
	at := 0
	room := e.room(len(texts) == 2)
	lengths := make([]int, len(texts))
	written := make([][]string, len(texts))
	for i, text := range texts {
		written[i] = t.Words(text)
		lengths[i] = len(written[i])
	}
	shares := shareRoom(lengths, room)
	for i, w := range written {
		head, tail := e.parts(len(w), shares[i])
		at += copy(words[at:], w[:head])
		at += copy(words[at:], w[len(w)-tail:])
		if len(w) == 0 {
			at++ // the unknown token of an empty text
		}
		at++ // the separator
	}
	return words, nil
}

// append appends the ids of an example. Types are 1 from index typed on; cut says whether tokens were left out.
func (e *TextEncoder) append(ids []uint32, a, b string, pair bool) (out []uint32, typed int, cut bool, err error) {
	if e.ids, err = e.tokens(e.ids[:0], a); err != nil {
		return nil, 0, false, err
	}
	lengths := []int{len(e.ids)}
	if pair {
		if e.second, err = e.tokens(e.second[:0], b); err != nil {
			return nil, 0, false, err
		}
		lengths = append(lengths, len(e.second))
	}
	shares := shareRoom(lengths, e.room(pair))
	cut = shares[0] < lengths[0] || pair && shares[1] < lengths[1]
	start := len(ids)
	if e.frame != nil {
		ids, typed = e.framed(ids, shares, pair)
		return ids, typed, cut, nil
	}
	if e.specials.Start >= 0 {
		ids = append(ids, uint32(e.specials.Start))
	}
	ids = e.appendCut(ids, e.ids, shares[0])
	if e.specials.Start >= 0 || pair && e.specials.Separator >= 0 {
		ids = append(ids, uint32(e.specials.Separator))
	}
	typed = len(ids) - start
	if pair {
		ids = e.appendCut(ids, e.second, shares[1])
		if e.specials.Start >= 0 {
			ids = append(ids, uint32(e.specials.Separator))
		}
	}
	return ids, typed, cut, nil
}

// framed appends the texts with what the tokenizer's file puts around them.
func (e *TextEncoder) framed(ids []uint32, shares []int, pair bool) (out []uint32, typed int) {
	parts, start := e.frame.Single, len(ids)
	if pair {
		parts = e.frame.Pair
	}
	typed = -1
	for _, p := range parts {
		if p.Type > 0 && typed < 0 {
			typed = len(ids) - start
		}
		switch p.Text {
		case 0:
			ids = append(ids, uint32(p.ID))
		case 1:
			ids = e.appendCut(ids, e.ids, shares[0])
		default:
			ids = e.appendCut(ids, e.second, shares[1])
		}
	}
	if typed < 0 {
		typed = len(ids) - start
	}
	return ids, typed
}

// tokens appends the ids of a text, at least one where nothing stands around it.
func (e *TextEncoder) tokens(ids []uint32, text string) ([]uint32, error) {
	ids, err := e.encode(ids, text)
	if err == nil && len(ids) == 0 && e.specials.Start < 0 {
		ids = append(ids, uint32(max(e.specials.Unknown, 0)))
	}
	return ids, err
}

// room is how many tokens of text an example has room for.
func (e *TextEncoder) room(pair bool) int {
	room := e.maxLen
	texts := 1
	if pair {
		texts = 2
	}
	switch {
	case e.frame != nil:
		room -= e.frame.Tokens(texts)
	case e.specials.Start >= 0 && pair:
		room -= 3
	case e.specials.Start >= 0:
		room -= 2
	case pair && e.specials.Separator >= 0:
		room--
	}
	return room
}

// shareRoom divides room among texts of these lengths: the longer of two gives way until both are equal, as "longest
// first" of Hugging Face.
func shareRoom(lengths []int, room int) []int {
	if len(lengths) == 1 {
		return []int{min(lengths[0], room)}
	}
	a, b := lengths[0], lengths[1]
	switch {
	case a+b <= room:
	case a <= b:
		a = min(a, room/2)
		b = room - a
	default:
		b = min(b, room/2)
		a = room - b
	}
	return []int{a, b}
}

// parts returns how many tokens to keep from the beginning and from the end of a text of n tokens.
func (e *TextEncoder) parts(n, keep int) (head, tail int) {
	switch {
	case n <= keep:
		return n, 0
	case e.headTail:
		return keep / 4, keep - keep/4
	}
	return keep, 0
}

func (e *TextEncoder) appendCut(ids, text []uint32, keep int) []uint32 {
	head, tail := e.parts(len(text), keep)
	ids = append(ids, text[:head]...)
	return append(ids, text[len(text)-tail:]...)
}
