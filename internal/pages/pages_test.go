package main

import (
	"os"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/recipe"
)

// The picture that is committed is that of the committed result. CI checks the other files, which change with the code, by
// go run ./internal/pages --check.
func TestPictureIsFresh(t *testing.T) {
	t.Chdir("../..")
	if err := write([]made{{"docs/loss-over-bytes.svg", picture}}, true); err != nil {
		t.Error(err)
	}
}

// The table of packages has all of them, in an order of rows that their imports allow.
func TestRoomsStandOnTheirImports(t *testing.T) {
	t.Chdir("../..")
	all, err := rooms()
	if err != nil {
		t.Fatal(err)
	}
	row := map[string]int{}
	for _, r := range all {
		row[r.ImportPath] = r.above
		if purpose(r) == "" {
			t.Errorf("package %s does not say what it is for", r.name)
		}
	}
	for _, r := range all {
		for _, p := range r.Imports {
			if row[p] >= r.above {
				t.Errorf("%s is in row %d and imports %s, in row %d", r.name, r.above, p, row[p])
			}
		}
	}
	if len(all) < 20 || row["sparrow/kernel"] != 0 {
		t.Errorf("found %d packages, kernel in row %d", len(all), row["sparrow/kernel"])
	}
}

func TestWriteKeys(t *testing.T) {
	keys := []configs.Key{
		{Name: "name", Type: "a string", Default: `"x"`, Doc: "goes to runs/<name>"},
		{Table: "[a]", Name: "kind", Type: "a string", Default: `"b"`, Doc: "which one", Choices: []string{"b", "c"}},
		{Table: "[a]", Kinds: []configs.Kind{{Table: "[a]", Key: "kind", Name: "b"}}, Name: "width", Type: "an integer", Default: "0", Doc: "inside", Unit: "neurons"},
	}
	for _, table := range []string{"[c]", "[d]"} { // of both kinds, once the same and once not
		for i, around := range []string{"x", "y"} {
			kinds := []configs.Kind{{Table: "[b]", Key: "source", Name: around}, {Table: table, Key: "kind", Name: "deep"}}
			k := configs.Key{Table: table, Kinds: kinds, Name: "last", Type: "an integer", Default: "1", Doc: "inside"}
			if table == "[d]" {
				k.Default = []string{"1", "2"}[i]
			}
			keys = append(keys, k)
		}
	}
	keys = append(keys, configs.Key{Table: "[e]", Kinds: []configs.Kind{{Table: "[b]", Key: "source", Name: "x"}}, Name: "n", Type: "an integer", Default: "1"},
		configs.Key{Table: "[e]", Kinds: []configs.Kind{{Table: "[b]", Key: "source", Name: "y"}}, Name: "n", Type: "an integer", Default: "1"})
	var b strings.Builder
	writeKeys(&b, keys)
	const head = "| key | type | default | meaning |\n|---|---|---|---|\n"
	want := "### the top\n\n" + head + "| `name` | string | `\"x\"` | goes to runs/\\<name> |\n\n" +
		"### `[a]`\n\n" + head + "| `kind` | string | `\"b\"` | which one; one of `b`, `c` |\n\n" +
		"### `[a]`, `kind = \"b\"`\n\n" + head + "| `width` | integer, neurons | `0` | inside |\n\n" +
		"### `[c]`, `kind = \"deep\"`\n\n" + head + "| `last` | integer | `1` | inside |\n\n" +
		"### `[d]`, `kind = \"deep\"`\n\n" + head + "| `last` | integer | `1` | inside |\n\n" +
		"### `[d]`, `kind = \"deep\"` in `[b] source = \"y\"`\n\n" + head + "| `last` | integer | `2` | inside |\n\n" +
		"### `[e]`, `[b] source = \"x\"` or `[b] source = \"y\"`\n\n" + head + "| `n` | integer | `1` |  |\n\n"
	if b.String() != want {
		t.Errorf("writeKeys wrote\n%s\nwant\n%s", b.String(), want)
	}
	run := map[place]string{{"[train]", "", "steps"}: "1000"}
	for value, want := range map[string]bool{"1000": true, "200": false} {
		if got := said(configs.Key{Table: "[compress.finetune]", Name: "steps", Default: value}, run); got != want {
			t.Errorf("said of a default of %s: %t, want %t", value, got, want)
		}
	}
}

// The check sees a change, and writing mends it.
func TestCheckSeesAChange(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	for _, name := range []string{"docs", "docs/claims"} {
		if err := os.Mkdir(dir+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(picturedFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	files := []made{{"docs/loss-over-bytes.svg", picture}}
	if err := os.WriteFile(picturedFile, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(files, false); err != nil {
		t.Fatal(err)
	}
	if err := write(files, true); err != nil {
		t.Errorf("just written: %v", err)
	}
	other := strings.Replace(string(text), `"loss": 1`, `"loss": 2`, 1)
	if other == string(text) {
		t.Fatal("no loss to change")
	}
	if err := os.WriteFile(picturedFile, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(files, true); err == nil || !strings.Contains(err.Error(), "loss-over-bytes.svg") {
		t.Errorf("another result: error %v, want one about the picture", err)
	}
}

// Every key says what it means.
func TestKeysHaveTheirMeaning(t *testing.T) {
	for _, s := range schemas() {
		keys, err := configs.Keys(s.defaults, recipe.Lists())
		if err != nil || len(keys) < 10 {
			t.Fatalf("%s: %d keys, %v", s.title, len(keys), err)
		}
		for _, k := range keys {
			if k.Doc == "" {
				t.Errorf("%s %s has no meaning: give its field the tag doc", k.Table, k.Name)
			}
		}
	}
}
