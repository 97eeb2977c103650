package tokenizers

import (
	"encoding/json"
	"fmt"
)

// Frame is what stands around one text and around a pair: the post-processor of a tokenizer.json.
type Frame struct {
	Single, Pair []FramePart
}

// FramePart is a token that always stands there, or one of the texts.
type FramePart struct {
	Text int // 1 or 2: that text; 0: the token ID
	ID   int
	Type int // which of two segments it counts to
}

// Frame returns what the file puts around texts, nil if nothing.
func (t *Pipeline) Frame() *Frame { return t.frame }

// FrameOf is the frame of a tokenizer, nil where it has none.
func FrameOf(t Tokenizer) *Frame {
	if p, ok := t.(*Pipeline); ok {
		return p.frame
	}
	return nil
}

// Begin puts the tokens before a text that is to be continued, such as <s>, in front of its ids.
func (f *Frame) Begin(ids []int) []int {
	if f == nil {
		return ids
	}
	var begun []int
	for _, p := range f.Single {
		if p.Text > 0 {
			break
		}
		begun = append(begun, p.ID)
	}
	return append(begun, ids...)
}

// Apply puts the frame around the ids of one text or two and returns their types as well.
func (f *Frame) Apply(texts ...[]int) (ids, types []int) {
	parts := f.Single
	if len(texts) > 1 {
		parts = f.Pair
	}
	for _, p := range parts {
		tokens := []int{p.ID}
		if p.Text > 0 {
			tokens = texts[p.Text-1]
		}
		for _, id := range tokens {
			ids, types = append(ids, id), append(types, p.Type)
		}
	}
	return ids, types
}

// Tokens is how many tokens the frame adds to n texts.
func (f *Frame) Tokens(n int) int {
	if f == nil {
		return 0
	}
	parts := f.Single
	if n > 1 {
		parts = f.Pair
	}
	count := 0
	for _, p := range parts {
		if p.Text == 0 {
			count++
		}
	}
	return count
}

// check refuses ids that the vocabulary does not have.
func (f *Frame) check(vocab int) error {
	if f == nil {
		return nil
	}
	for _, parts := range [][]FramePart{f.Single, f.Pair} {
		for _, p := range parts {
			if p.Text == 0 && (p.ID < 0 || p.ID >= vocab) {
				return fmt.Errorf("token %d is outside of the vocabulary of %d", p.ID, vocab)
			}
		}
	}
	return nil
}

// framePiece is a piece of a template.
type framePiece struct {
	SpecialToken *struct {
		ID   string `json:"id"`
		Type int    `json:"type_id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID   string `json:"id"`
		Type int    `json:"type_id"`
	} `json:"Sequence"`
}

// namedToken is ["</s>", 2].
type namedToken struct{ id int }

// UnmarshalJSON reads the pair.
func (n *namedToken) UnmarshalJSON(content []byte) error {
	var name string
	return json.Unmarshal(content, &[]any{&name, &n.id})
}

// parseFrame reads a post-processor; nil where the file has none or it adds nothing.
func parseFrame(raw json.RawMessage, depth int) (*Frame, error) {
	if absent(raw) {
		return nil, nil
	}
	if depth > maxComponents {
		return nil, fmt.Errorf("nested deeper than %d", maxComponents)
	}
	var c struct {
		component
		Processors []json.RawMessage `json:"processors"`
		Single     []framePiece      `json:"single"`
		Pair       []framePiece      `json:"pair"`
		Tokens     map[string]struct {
			IDs []int `json:"ids"`
		} `json:"special_tokens"`
		Sep namedToken `json:"sep"`
		Cls namedToken `json:"cls"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	cls, sep := FramePart{ID: c.Cls.id}, FramePart{ID: c.Sep.id}
	switch c.Type {
	case "ByteLevel":
		return nil, nil
	case "BertProcessing":
		second := FramePart{ID: c.Sep.id, Type: 1}
		return &Frame{
			Single: []FramePart{cls, {Text: 1}, sep},
			Pair:   []FramePart{cls, {Text: 1}, sep, {Text: 2, Type: 1}, second},
		}, nil
	case "RobertaProcessing":
		return &Frame{
			Single: []FramePart{cls, {Text: 1}, sep},
			Pair:   []FramePart{cls, {Text: 1}, sep, sep, {Text: 2}, sep},
		}, nil
	case "TemplateProcessing":
		template := func(pieces []framePiece) (parts []FramePart, err error) {
			for _, p := range pieces {
				switch {
				case p.SpecialToken != nil:
					token, ok := c.Tokens[p.SpecialToken.ID]
					if !ok {
						return nil, fmt.Errorf("the template's token %.40q is not among special_tokens", p.SpecialToken.ID)
					}
					for _, id := range token.IDs {
						parts = append(parts, FramePart{ID: id, Type: p.SpecialToken.Type})
					}
				case p.Sequence != nil && (p.Sequence.ID == "A" || p.Sequence.ID == "B"):
					parts = append(parts, FramePart{Text: int(p.Sequence.ID[0]-'A') + 1, Type: p.Sequence.Type})
				default:
					return nil, fmt.Errorf("a piece of the template is neither a token nor the sequence A or B")
				}
			}
			return parts, nil
		}
		f := &Frame{}
		var err error
		if f.Single, err = template(c.Single); err == nil {
			f.Pair, err = template(c.Pair)
		}
		for _, p := range f.Single {
			if p.Text == 2 && err == nil {
				err = fmt.Errorf("the template of one text names a second")
			}
		}
		return f, err
	case "Sequence":
		var found *Frame
		for _, x := range c.Processors {
			f, err := parseFrame(x, depth+1)
			switch {
			case err != nil:
				return nil, err
			case f != nil && found != nil:
				return nil, fmt.Errorf("several that add tokens are not supported")
			case f != nil:
				found = f
			}
		}
		return found, nil
	}
	return nil, fmt.Errorf("%.40q is not supported", c.Type)
}
