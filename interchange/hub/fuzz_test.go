package hub

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: no name of a model leads out of the cache, and its parts are what the name says.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"o/n", "o/n@v1.0", "o/n/sub/q4.gguf@a/b", "../n", "o/n/../x", "o/..", "o/n@../x", "a//b", "C:/x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := Parse(text)
		if err != nil {
			return
		}
		c := cache{root: "root", id: id}
		for _, path := range []string{c.dir(), c.ref(), filepath.Join(c.folder(strings.Repeat("0", 40)), filepath.FromSlash(id.File))} {
			if rest, err := filepath.Rel(filepath.Join("root", c.base()), path); err != nil || !filepath.IsLocal(rest) {
				t.Errorf("%q leads to %q", text, path)
			}
		}
		whole := id.Repo()
		if id.File != "" {
			whole += "/" + id.File
		}
		if text != whole && text != whole+"@"+id.Revision {
			t.Errorf("%q is read as %+v", text, id)
		}
	})
}
