package shell

import (
	"fmt"
	"strings"
	"testing"
)

// TestClip: long words and long quoted texts are cut, all else stays.
func TestClip(t *testing.T) {
	a := func(n int) string { return strings.Repeat("a", n) }
	words := strings.Repeat("some word ", 100)
	for _, c := range []struct{ name, message, want string }{
		{"a short message", `x.toml:1: key "y" is unknown`, `x.toml:1: key "y" is unknown`},
		{"a long one of short words", words, words},
		{"a word", "x " + a(201) + " y", "x " + a(197) + "... y"},
		{"a word as long as it may be", "x " + a(200) + " y", "x " + a(200) + " y"},
		{"runes", strings.Repeat("ä", 300), strings.Repeat("ä", 197) + "..."},
		{"a quoted text", `key "` + words + `" is`, `key "` + words[:195] + `..." is`},
		{"a quoted text with quotes", fmt.Sprintf("key %q is", `"`+words), `key "\"` + words[:193] + `..." is`},
		{"a quote that does not end", `key "` + a(300), `key "` + a(196) + "..."},
		{"lines", a(300) + "\n" + a(10), a(197) + "...\n" + a(10)},
		{"a command", "x " + a(300) + ": continue it by: train resume " + a(300), "x " + a(197) + "... continue it by: train resume " + a(300)},
	} {
		if got := Clip(c.message); got != c.want {
			t.Errorf("%s: Clip = %q, want %q", c.name, got, c.want)
		}
	}
}
