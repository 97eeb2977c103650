package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// decodeFunc is the text that a token stands for, as the first of a text or a later one.
type decodeFunc func(token string, first bool) string

// parseDecoder reads a decoder. Text is the concatenation of the texts of its tokens, for every decoder that is supported.
func parseDecoder(raw json.RawMessage, depth int) (decodeFunc, error) {
	if absent(raw) {
		// Hugging Face joins with spaces then.
		return func(token string, first bool) string {
			if first {
				return token
			}
			return " " + token
		}, nil
	}
	if depth > maxComponents {
		return nil, fmt.Errorf("nested deeper than %d", maxComponents)
	}
	var c struct {
		component
		Decoders       []json.RawMessage `json:"decoders"`
		Prefix         *string           `json:"prefix"`
		Suffix         *string           `json:"suffix"`
		Cleanup        bool              `json:"cleanup"`
		Replacement    string            `json:"replacement"`
		PrependScheme  string            `json:"prepend_scheme"`
		AddPrefixSpace *bool             `json:"add_prefix_space"`
		Pattern        *hfPattern        `json:"pattern"`
		Content        string            `json:"content"`
		Start          int               `json:"start"`
		Stop           int               `json:"stop"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	switch c.Type {
	case "Sequence":
		var all []decodeFunc
		for _, x := range c.Decoders {
			d, err := parseDecoder(x, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		return func(token string, first bool) string {
			for _, d := range all {
				token = d(token, first)
			}
			return token
		}, nil
	case "ByteLevel":
		return func(token string, _ bool) string {
			if text, ok := fromRunes(token); ok {
				return text
			}
			return token
		}, nil
	case "ByteFallback":
		return func(token string, _ bool) string {
			if len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
				if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
					return string([]byte{byte(b)})
				}
			}
			return token
		}, nil
	case "Fuse":
		return func(token string, _ bool) string { return token }, nil
	case "Metaspace":
		drop := c.PrependScheme != "never" && (c.PrependScheme != "" || isTrue(c.AddPrefixSpace))
		return func(token string, first bool) string {
			token = strings.ReplaceAll(token, c.Replacement, " ")
			if first && drop {
				token = strings.TrimPrefix(token, " ")
			}
			return token
		}, nil
	case "Replace":
		if c.Pattern == nil {
			return nil, errors.New("no pattern of Replace")
		}
		find, err := c.Pattern.finder()
		return func(token string, _ bool) string { return replaceAll(token, find, c.Content) }, err
	case "Strip":
		// At the end it would need to know which token is the last; no published file asks for it.
		if c.Stop != 0 || len(c.Content) == 0 {
			return nil, errors.New("the end of text cannot be stripped: Strip with stop = 0 is supported")
		}
		return func(token string, first bool) string {
			for i := 0; first && i < c.Start; i++ {
				token = strings.TrimPrefix(token, c.Content)
			}
			return token
		}, nil
	case "WordPiece":
		prefix := "##"
		if c.Prefix != nil {
			prefix = *c.Prefix
		}
		return func(token string, first bool) string {
			if !first {
				if continued, ok := strings.CutPrefix(token, prefix); ok {
					token = continued
				} else {
					token = " " + token
				}
			}
			if c.Cleanup {
				token = wordPieceCleanup.Replace(token)
			}
			return token
		}, nil
	case "BPEDecoder":
		suffix := "</w>"
		if c.Suffix != nil {
			suffix = *c.Suffix
		}
		return func(token string, _ bool) string { return strings.ReplaceAll(token, suffix, " ") }, nil
	}
	return nil, fmt.Errorf("%.40q is not supported", c.Type)
}
