package tokenizers

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// normalizeFunc is a normalizer of one function.
type normalizeFunc func(string) string

func (f normalizeFunc) normalize(text string) string { return f(text) }

// normalizers applies several in turn.
type normalizers []normalizer

func (n normalizers) normalize(text string) string {
	for _, x := range n {
		text = x.normalize(text)
	}
	return text
}

// absent tells a component that a file lacks or names null.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// parseNormalizer reads a normalizer; nil where the file has none.
func parseNormalizer(raw json.RawMessage, depth int) (normalizer, error) {
	if absent(raw) {
		return nil, nil
	}
	if depth > maxComponents {
		return nil, fmt.Errorf("nested deeper than %d", maxComponents)
	}
	var c struct {
		component
		bertNormalizer
		Normalizers []json.RawMessage `json:"normalizers"`
		Prepend     string            `json:"prepend"`
		Content     string            `json:"content"`
		Pattern     *hfPattern        `json:"pattern"`
		StripLeft   *bool             `json:"strip_left"`
		StripRight  *bool             `json:"strip_right"`
		Charsmap    []byte            `json:"precompiled_charsmap"` // in base64
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	switch c.Type {
	case "Sequence":
		var all normalizers
		for _, x := range c.Normalizers {
			n, err := parseNormalizer(x, depth+1)
			if err != nil {
				return nil, err
			}
			if n != nil {
				all = append(all, n)
			}
		}
		return all, nil
	case "NFC":
		return normalizeFunc(norm.NFC.String), nil
	case "NFD":
		return normalizeFunc(norm.NFD.String), nil
	case "NFKC":
		return normalizeFunc(norm.NFKC.String), nil
	case "NFKD":
		return normalizeFunc(norm.NFKD.String), nil
	case "Lowercase":
		return normalizeFunc(lowercase), nil
	case "StripAccents":
		return normalizeFunc(stripMarks), nil
	case "Strip":
		left, right := isTrue(c.StripLeft), isTrue(c.StripRight)
		return normalizeFunc(func(text string) string {
			if left {
				text = strings.TrimLeftFunc(text, unicode.IsSpace)
			}
			if right {
				text = strings.TrimRightFunc(text, unicode.IsSpace)
			}
			return text
		}), nil
	case "Prepend":
		return normalizeFunc(func(text string) string {
			if text == "" {
				return ""
			}
			return c.Prepend + text
		}), nil
	case "Replace":
		if c.Pattern == nil {
			return nil, errors.New("no pattern of Replace")
		}
		find, err := c.Pattern.finder()
		if err != nil {
			return nil, err
		}
		return normalizeFunc(func(text string) string { return replaceAll(text, find, c.Content) }), nil
	case "ByteLevel":
		return normalizeFunc(toRunes), nil
	case "BertNormalizer":
		return normalizeFunc(c.bertNormalizer.apply), nil
	case "Nmt":
		return normalizeFunc(nmt), nil
	case "Precompiled":
		return newCharsmap(c.Charsmap)
	}
	return nil, fmt.Errorf("%q is not supported", c.Type)
}

// lowercase is Unicode's full mapping, rune by rune; one entry is not one rune to one.
func lowercase(text string) string {
	return strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(text, "\u0130", "i\u0307")), "\u0130", "i\u0307")
}

// stripMarks takes combining marks away.
func stripMarks(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, text)
}

// nmt is sentencepiece's cleaning: some controls vanish, unusual white space becomes a space.
func nmt(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0x0B, r >= 0x0E && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return -1
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200B && r <= 0x200F, r == 0x2028, r == 0x2029,
			r == 0x2581, r == 0xFEFF, r == 0xFFFD:
			return ' '
		}
		return r
	}, text)
}

// replaceAll puts content in the place of every match.
func replaceAll(text string, find finder, content string) string {
	var b strings.Builder
	done := 0
	for _, m := range find(text) {
		b.WriteString(text[done:m[0]])
		b.WriteString(content)
		done = m[1]
	}
	b.WriteString(text[done:])
	return b.String()
}

// charsmap is sentencepiece's compiled normalization: a double array of strings (Aoe 1989, in the form of Darts-clone) and
// the texts that they become, each ended by a zero.
type charsmap struct {
	units []uint32
	texts []byte
}

func newCharsmap(content []byte) (normalizer, error) {
	if len(content) == 0 {
		return nil, nil
	}
	if len(content) < 4 {
		return nil, errors.New("precompiled_charsmap is cut short")
	}
	n := int64(binary.LittleEndian.Uint32(content))
	if n%4 != 0 || n > int64(len(content)-4) || n == 0 {
		return nil, fmt.Errorf("precompiled_charsmap has a table of %d bytes in %d", n, len(content))
	}
	m := charsmap{units: make([]uint32, n/4), texts: content[4+n:]}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(content[4+4*i:])
	}
	return m, nil
}

// unit reads the table; what a damaged one points outside of matches nothing.
func (m charsmap) unit(at uint32) (uint32, bool) {
	if uint64(at) >= uint64(len(m.units)) {
		return 0, false
	}
	return m.units[at], true
}

func unitOffset(u uint32) uint32 { return (u >> 10) << ((u & (1 << 9)) >> 6) }

// replacement is the text that the shortest known beginning of chunk becomes.
func (m charsmap) replacement(chunk string) (string, bool) {
	u, ok := m.unit(0)
	at := unitOffset(u)
	for i := 0; ok && i < len(chunk) && chunk[i] != 0; i++ {
		at ^= uint32(chunk[i])
		if u, ok = m.unit(at); !ok || u&(1<<31|0xFF) != uint32(chunk[i]) {
			return "", false
		}
		at ^= unitOffset(u)
		if u>>8&1 == 1 {
			leaf, ok := m.unit(at)
			from := leaf & (1<<31 - 1)
			if !ok || uint64(from) > uint64(len(m.texts)) {
				return "", false
			}
			text := m.texts[from:]
			for j, c := range text {
				if c == 0 {
					return string(text[:j]), true
				}
			}
			return "", false
		}
	}
	return "", false
}

// normalize replaces clusters of up to 5 bytes as a whole, else their runes, as Hugging Face does.
func (m charsmap) normalize(text string) string {
	var b strings.Builder
	state := -1
	for len(text) > 0 {
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		if len(cluster) < 6 {
			if to, ok := m.replacement(cluster); ok {
				b.WriteString(to)
				continue
			}
		}
		for len(cluster) > 0 {
			_, size := utf8.DecodeRuneInString(cluster)
			if to, ok := m.replacement(cluster[:size]); ok {
				b.WriteString(to)
			} else {
				b.WriteString(cluster[:size])
			}
			cluster = cluster[size:]
		}
	}
	return b.String()
}
