package chat

import (
	"fmt"
	"slices"
	"strings"
)

// pairs are statements that an end closes.
var pairs = []string{"if", "for", "macro", "filter", "generation", "block", "raw"}

// closed refuses a statement without its end, and an end without its statement.
func closed(all []block) error {
	var open []block
	for _, b := range all {
		text := withoutStrings(b.text)
		word := keyword.FindString(text)
		raw := len(open) > 0 && keyword.FindString(open[len(open)-1].text) == "raw"
		end, ends := strings.CutPrefix(word, "end")
		switch {
		case !b.statement || raw && end != "raw":
		case slices.Contains(pairs, word), word == "set" && !strings.Contains(text, "="):
			open = append(open, b)
		case ends && len(open) == 0:
			return fmt.Errorf("line %d: %s, but nothing is open", b.line, word)
		case ends:
			last := open[len(open)-1]
			if began := keyword.FindString(last.text); began != end {
				return fmt.Errorf("line %d: %s, but the %s of line %d is open", b.line, word, began, last.line)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		last := open[len(open)-1]
		return fmt.Errorf("line %d: the %s is not closed: there is no end%[2]s", last.line, keyword.FindString(last.text))
	}
	return nil
}
