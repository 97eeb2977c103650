package configs

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestScanLines(t *testing.T) {
	text := strings.TrimPrefix(`
# [not.a.table]
name = "a # no comment" # a comment
text = """
[no.table]
key = 1 \""" still
"""""
raw = '''
x = '''
'quoted.key' = 1
"esc\u0061pe" . two = 2
list = [ # a comment with ]
  1,
  [2, "]"], { deep = { er = 1 } },
]
empty = []

[ a . "b c" ]
k = {x = 1, y = [{z = 2}]}
d.e.f = 1979-05-27 07:32:00
[[rows]]
v = 1
[rows.sub]
w = 2
[[rows.inner]]
i = 1
[[rows.inner]]
i = 2
[[rows]]
v = 3
[[rows.inner]]
i = 4
`, "\n")
	want := map[string]int{
		"name": 2, "text": 3, "raw": 7, `"quoted.key"`: 9, "escape": 10, "escape.two": 10,
		"list": 11, "list.0": 12, "list.1": 13, "list.1.0": 13, "list.1.1": 13, "list.2": 13,
		"list.2.deep": 13, "list.2.deep.er": 13, "empty": 15,
		"a": 17, `a."b c"`: 17, `a."b c".k`: 18, `a."b c".k.x`: 18, `a."b c".k.y`: 18, `a."b c".k.y.0`: 18, `a."b c".k.y.0.z`: 18,
		`a."b c".d`: 19, `a."b c".d.e`: 19, `a."b c".d.e.f`: 19,
		"rows": 20, "rows.0": 20, "rows.0.v": 21, "rows.0.sub": 22, "rows.0.sub.w": 23,
		"rows.0.inner": 24, "rows.0.inner.0": 24, "rows.0.inner.0.i": 25, "rows.0.inner.1": 26, "rows.0.inner.1.i": 27,
		"rows.1": 28, "rows.1.v": 29, "rows.1.inner": 30, "rows.1.inner.0": 30, "rows.1.inner.0.i": 31,
	}
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		t.Fatalf("the document is not TOML: %v", err)
	}
	if diff := cmp.Diff(want, scanLines(text)); diff != "" {
		t.Errorf("scanLines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, scanLines(strings.ReplaceAll(text, "\n", "\r\n"))); diff != "" {
		t.Errorf("scanLines with CRLF (-want +got):\n%s", diff)
	}
}

// withoutIndices drops the parts of a key that may be indices, for a comparison with the TOML parser, which has none.
func withoutIndices(key toml.Key) string {
	var named toml.Key
	for _, part := range key {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			named = append(named, part)
		}
	}
	return named.String()
}

// FuzzScanLines checks on any valid document that the scan finds every key the TOML parser finds, and on any text that
// it ends.
func FuzzScanLines(f *testing.F) {
	for _, seed := range []string{
		"a = 1\nb.c = [1, {d = 2}]\n[e]\nf = '''\ng'''\n[[h]]\ni = \"\"\"\\\"\"\"\"\"\"\n[h.j]\n",
		"a = \"x\ny", "[[a]]\n[a.b]\n[[a.b.c]]", "a = {", "[", "=", "\"a\\e\" = 1", "a = [[[",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := scanLines(text)
		last := strings.Count(text, "\n") + 1
		found := map[string]bool{}
		for id, line := range lines {
			if line < 1 || line > last {
				t.Errorf("%q is on line %d of %d", id, line, last)
			}
		}
		var doc map[string]any
		meta, err := toml.Decode(text, &doc)
		if err != nil || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
			return // not TOML, or behind the mark of an encoding that the parser only seems to read
		}
		for id := range lines {
			found[withoutIndices(splitID(t, id))] = true
		}
		for _, key := range meta.Keys() {
			if id := withoutIndices(key); id != "" && !found[id] {
				t.Errorf("no line for %q in %q, only for %v", id, text, lines)
			}
		}
	})
}

// splitID reads back the parts of a key from its text.
func splitID(t *testing.T, id string) toml.Key {
	t.Helper()
	s := &lineScanner{text: id, line: 1}
	return s.dottedKey()
}
