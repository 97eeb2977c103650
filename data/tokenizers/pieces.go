package tokenizers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Piece is what an id stands for, in a form in which tokenizers of different kinds can be compared.
type Piece struct {
	// Text are the bytes that the piece adds within a text: " the" where a word begins, "ing" within one, however a vocabulary
	// marks the beginning of a word. A special piece has its name.
	Text    string
	Special bool // it stands for no text: [CLS], <|endoftext|>, an unknown word
	Byte    bool // it spells one byte where no other piece does
	Defined bool // false: no token has the id
}

// Pieces are those of all ids.
func Pieces(t Tokenizer) []Piece {
	specials := specialNames(t)
	pieces := make([]Piece, t.VocabSize())
	for id := range pieces {
		p := &pieces[id]
		if p.Text, p.Special = specials[id]; p.Special {
			p.Defined = true
			continue
		}
		p.Text, p.Defined = t.tokenText(id, false)
	}
	switch x := t.(type) {
	case ByteTokenizer:
		for id := range pieces {
			pieces[id].Byte = true
		}
	case *Pipeline:
		for token, id := range x.model.tokens() {
			if len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
				pieces[id].Byte = true
			}
		}
	case *BPE:
		for _, id := range x.byteIDs {
			if id >= 0 {
				pieces[id].Byte = true
			}
		}
	}
	return pieces
}

// specialNames are the names of the ids that stand for no text.
func specialNames(t Tokenizer) map[int]string {
	names := map[int]string{}
	switch x := t.(type) {
	case *BPE:
		for _, a := range x.added.tokens {
			names[a.id] = a.content
		}
	case *WordPiece:
		for _, a := range x.added.tokens {
			names[a.id] = a.content
		}
		names[x.unknown] = x.tokens[x.unknown]
	case *Pipeline:
		for _, set := range []addedSet{x.added, x.normalized} {
			for _, a := range set.tokens {
				names[a.id] = a.name
			}
		}
	case *CharTokenizer:
		names[charUnknown] = "<unk>"
	case *WordTokenizer:
		for id, name := range wordSpecials {
			names[id] = name
		}
	}
	return names
}

// WithSpecials is a tokenizer with more special tokens, after its last id; names that it has stay as they are. One that is not of
// Hugging Face's form cannot have more.
func WithSpecials(t Tokenizer, names []string) (Tokenizer, error) {
	have := specialNames(t)
	var more []string
	for _, name := range names {
		known := slices.Contains(more, name)
		for _, n := range have {
			known = known || n == name
		}
		if !known {
			more = append(more, name)
		}
	}
	if len(more) == 0 {
		return t, nil
	}
	var file map[string]json.RawMessage
	var added []hfAdded
	err := json.Unmarshal(t.Save(), &file)
	if err == nil && file["model"] == nil {
		err = fmt.Errorf("a tokenizer of kind %q has no special tokens of its own; want bpe, wordpiece or unigram", t.Kind())
	}
	if err == nil && !absent(file["added_tokens"]) {
		err = json.Unmarshal(file["added_tokens"], &added)
	}
	for i, name := range more {
		added = append(added, hfAdded{ID: t.VocabSize() + i, Content: name, Special: true})
	}
	if err == nil {
		file["added_tokens"], err = json.Marshal(added)
	}
	if _, is := t.(*WordPiece); is && err == nil { // whose file has special tokens in its vocabulary too
		var m map[string]json.RawMessage
		vocab := map[string]int{}
		if err = json.Unmarshal(file["model"], &m); err == nil {
			err = json.Unmarshal(m["vocab"], &vocab)
		}
		for i, name := range more {
			vocab[name] = t.VocabSize() + i
		}
		if err == nil {
			m["vocab"], err = json.Marshal(vocab)
		}
		if err == nil {
			file["model"], err = json.Marshal(m)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("data: special tokens %q: %w", more, err)
	}
	content, err := json.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("data: special tokens %q: %w", more, err)
	}
	return Load(append(content, '\n'))
}
