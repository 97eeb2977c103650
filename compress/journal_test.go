package compress

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sparrow/checkpoints"
)

// TestKeyHashesEveryField: each field of each method's config, however deep, changes the key of its results; a field that is
// not exported could not, so there is none.
func TestKeyHashesEveryField(t *testing.T) {
	s := mustOpen(t, configOf(t, trainedRun(t), "svd", 0.5))
	for _, c := range Methods() {
		if c.New == nil {
			continue
		}
		m := reflect.New(reflect.TypeOf(c.New(s.cfg.Compress))).Elem()
		m.Set(reflect.ValueOf(c.New(s.cfg.Compress)))
		s.cfg.Compress.Methods = []Choice{{Name: c.Name, New: func(Settings) Method { return m.Interface().(Method) }}}
		key := func() string {
			k, err := s.layerKey("form", Target{Name: "x", Method: c.Name}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		var walk func(v reflect.Value, path string)
		walk = func(v reflect.Value, path string) {
			for i := range v.NumField() {
				f, name := v.Field(i), path+"."+v.Type().Field(i).Name
				if !v.Type().Field(i).IsExported() {
					t.Errorf("%s is not exported", name)
					continue
				}
				if f.Kind() == reflect.Struct {
					walk(f, name)
					continue
				}
				before, old := key(), reflect.New(f.Type()).Elem()
				old.Set(f)
				f.Set(other(t, f))
				if key() == before {
					t.Errorf("the key of %s does not depend on %s", c.Name, name)
				}
				f.Set(old)
			}
		}
		walk(m, c.Name)
	}
}

// other is a value that differs from v.
func other(t *testing.T, v reflect.Value) reflect.Value {
	t.Helper()
	switch x := v.Interface().(type) {
	case int:
		return reflect.ValueOf(x + 1)
	case float64:
		return reflect.ValueOf(x + 0.125)
	case string:
		return reflect.ValueOf(x + "x")
	case bool:
		return reflect.ValueOf(!x)
	case []int:
		return reflect.ValueOf(append([]int{1}, x...))
	}
	t.Fatalf("no other value of type %s", v.Type())
	return v
}

// TestJournalOfAnotherVersion: its entries are removed and the user is told; one of this version stays.
func TestJournalOfAnotherVersion(t *testing.T) {
	j := journal{filepath.Join(t.TempDir(), "journal")}
	entry := filepath.Join(j.dir, "0123")
	for _, c := range []struct {
		name string
		mark string // "": none, as the version before
		kept bool
	}{{"the version before", "", false}, {"another", "1\n", false}, {"this one", journalVersion + "\n", true}} {
		if err := os.MkdirAll(entry, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(j.dir, "version"), []byte(c.mark), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.mark == "" {
			if err := os.Remove(filepath.Join(j.dir, "version")); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := j.renew(&out); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(entry)
		if kept := err == nil; kept != c.kept || strings.Contains(out.String(), "are computed anew") == c.kept {
			t.Errorf("%s: entries kept %t, want %t; said %q", c.name, kept, c.kept, out.String())
		}
	}
	var out bytes.Buffer
	if err := (journal{filepath.Join(t.TempDir(), "new")}).renew(&out); err != nil || out.Len() > 0 {
		t.Errorf("a new journal: %v, %q", err, out.String())
	}
}

// TestDamagedJournal: an entry that is damaged in any way is made again, and read the next time.
func TestDamagedJournal(t *testing.T) {
	j := journal{t.TempDir()}
	key := strings.Repeat("0", 24)
	manifest := filepath.Join(j.dir, key, "manifest.json")
	made := 0
	do := func() {
		t.Helper()
		read := func(c *checkpoints.Checkpoint) error {
			_, err := c.File("x.json")
			return err
		}
		err := j.do(key, read, func() (checkpoints.Contents, error) {
			made++
			return checkpoints.Contents{Kind: "x", Files: map[string][]byte{"x.json": []byte("{}\n")}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	do()
	for i, damage := range []func() error{
		func() error { return os.Remove(manifest) },
		func() error { return os.Truncate(manifest, 10) },
		func() error { return os.WriteFile(filepath.Join(j.dir, key, "x.json"), []byte("{]\n"), 0o644) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		do()
		do()
		if made != i+2 {
			t.Errorf("damage %d: made %d times so far, want %d", i, made, i+2)
		}
	}
}
