package tokenizers

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestUntil: however a text is cut, what is shown ends before the first stop, and nothing of it is lost without one.
func TestUntil(t *testing.T) {
	for _, c := range []struct {
		text, want string
		stops      []string
		stopped    bool
	}{
		{"one two three", "one two three", nil, false},
		{"one two three", "one ", []string{"two"}, true},
		{"one two three", "", []string{"two", "one"}, true},
		{"aabaabaaac", "aabaab", []string{"aaac"}, true},
		{"ababab", "ababab", []string{"abc", "bb"}, false},
		{"x\n\nUser: hi", "x", []string{"User:", "\n\n"}, true},
		{"schöne grüße", "schöne gr", []string{"üß"}, true},
		{"abc", "abc", []string{""}, false},
		{"abcd", "a", []string{"cd", "bcd"}, true},
	} {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 1))
			u := NewUntil(c.stops...)
			var got strings.Builder
			stopped := false
			for rest := c.text; rest != "" && !stopped; {
				n := 1 + r.IntN(len(rest))
				var piece string
				piece, stopped = u.Push(rest[:n])
				got.WriteString(piece)
				rest = rest[n:]
			}
			if !stopped {
				got.WriteString(u.Flush())
			}
			if got.String() != c.want || stopped != c.stopped {
				t.Errorf("%q until %q: %q, stopped %t; want %q, %t", c.text, c.stops, got.String(), stopped, c.want, c.stopped)
			}
		}
	}
}
