package extend

import (
	"strings"

	"sparrow/data/tokenizers"
)

// shared tells of each new token which old one it is, -1: none. Texts are compared as they stand within a text, whatever a
// vocabulary marks words by, first as they are and then in lower case. Special tokens are compared by name, and by what they are
// for.
func shared(before, after tokenizers.Tokenizer) []int {
	old, fresh := tokenizers.Pieces(before), tokenizers.Pieces(after)
	type key struct {
		text          string
		special, byte bool
	}
	exact, folded := map[key]int{}, map[key]int{}
	for id, p := range old {
		if !p.Defined {
			continue
		}
		for _, k := range []struct {
			of  map[key]int
			key key
		}{{exact, key{p.Text, p.Special, p.Byte}}, {folded, key{strings.ToLower(p.Text), p.Special, false}}} {
			if _, known := k.of[k.key]; !known {
				k.of[k.key] = id
			}
		}
	}
	roles := map[int]int{}
	a, b := tokenizers.Specials(before), tokenizers.Specials(after)
	for _, r := range [][2]int{{a.Unknown, b.Unknown}, {a.Start, b.Start}, {a.Separator, b.Separator}, {a.Mask, b.Mask}, {a.Pad, b.Pad}} {
		if r[0] >= 0 && r[1] >= 0 {
			if _, known := roles[r[1]]; !known {
				roles[r[1]] = r[0]
			}
		}
	}
	from := make([]int, len(fresh))
	for id, p := range fresh {
		from[id] = -1
		if !p.Defined {
			continue
		}
		looks := []struct {
			of  map[key]int
			key key
		}{{exact, key{p.Text, p.Special, p.Byte}}, {exact, key{p.Text, p.Special, !p.Byte}}}
		if !p.Special && !p.Byte {
			looks = append(looks, struct {
				of  map[key]int
				key key
			}{folded, key{strings.ToLower(p.Text), false, false}})
		}
		for _, look := range looks {
			if found, ok := look.of[look.key]; ok {
				from[id] = found
				break
			}
		}
		if role, ok := roles[id]; ok && p.Special && from[id] < 0 {
			from[id] = role
		}
	}
	return from
}
