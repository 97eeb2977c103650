package main

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/cost"
	"sparrow/interpret"
	"sparrow/recipe"
)

// schema is a kind of file, by the struct that it is decoded into.
type schema struct {
	title, intro string
	defaults     any
}

// schemas are those that people write.
func schemas() []schema {
	return []schema{
		{"A run", "`train run -c FILE`. The same file is `config.toml` in a run's folder and in each checkpoint.", recipe.Default()},
		{"A compression", "`compress plan -c FILE` and `compress run -c FILE`. `[compress.finetune]` has the keys of `[train]` and `[compress.data]` those of `[data]`: here are those whose default differs.", compress.DefaultConfig()},
		{"Features of a model", "`model interpret fit RUN -c FILE`.", interpret.DefaultConfig()},
		{"Sizes of a model", "`model cost -c FILE`, which also takes the config of a run.", cost.Config{}},
	}
}

const keysIntro = `# All keys

This page is made from the structs that files are decoded into (` + "`go run ./internal/pages`" + `). A key that is not here is
unknown, and a file with it is refused. ` + "`--set TABLE.KEY=VALUE`" + ` sets any of them on the command line. A key under a kind
is there only if that kind is chosen.

`

// keysPage lists the keys of all schemas: docs/config.md.
func keysPage() ([]byte, error) {
	var b strings.Builder
	b.WriteString(keysIntro)
	known := map[place]string{}
	for _, s := range schemas() {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", s.title, s.intro)
		keys, err := configs.Keys(s.defaults, recipe.Lists())
		if err != nil {
			return nil, err
		}
		writeKeys(&b, slices.DeleteFunc(keys, func(k configs.Key) bool { return said(k, known) }))
		for _, k := range keys {
			known[place{k.Table, names(k), k.Name}] = k.Default
		}
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// place is where a key stands.
type place struct{ table, kinds, name string }

// names are those of a key's kinds.
func names(k configs.Key) string {
	var all []string
	for _, kind := range k.Kinds {
		all = append(all, kind.Name)
	}
	return strings.Join(all, " ")
}

// said tells whether a key of a compression is one of a run, with the same default.
func said(k configs.Key, run map[place]string) bool {
	for inner, outer := range map[string]string{"compress.finetune": "train", "compress.data": "data"} {
		if table := strings.Replace(k.Table, inner, outer, 1); table != k.Table {
			value, known := run[place{table, names(k), k.Name}]
			return known && value == k.Default
		}
	}
	return false
}

// section are the keys of a table that belong to the same kinds.
type section struct {
	table string
	kinds [][]configs.Kind // all that have these keys
	rows  string
}

// writeKeys writes a table of Markdown for each table of TOML, and within it for each kind; one for kinds with the same keys.
func writeKeys(b *strings.Builder, keys []configs.Key) {
	said := map[string]bool{}
	for _, s := range sections(keys) {
		head := "the top"
		if s.table != "" {
			head = "`" + s.table + "`"
		}
		var of []string
		for _, kinds := range s.kinds {
			if len(kinds) == 0 {
				continue
			}
			last := kinds[len(kinds)-1]
			label := "`" + labelOf(s.table, last) + "`"
			if n := len(kinds) - 2; n >= 0 && said[s.table+label] { // of the same kind, but for what is around it
				label += " in `" + labelOf(s.table, kinds[n]) + "`"
			}
			if !slices.Contains(of, label) {
				of = append(of, label)
			}
		}
		for _, label := range of {
			said[s.table+label] = true
		}
		if len(of) > 0 {
			head += ", " + strings.Join(of, " or ")
		}
		fmt.Fprintf(b, "### %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n%s\n", head, s.rows)
	}
}

// sections puts together the keys of the same table and kinds, and then the kinds of a table with the same keys.
func sections(keys []configs.Key) (all []*section) {
	var parts []*section
	for _, k := range keys {
		i := slices.IndexFunc(parts, func(s *section) bool { return s.table == k.Table && slices.Equal(s.kinds[0], k.Kinds) })
		if i < 0 {
			i, parts = len(parts), append(parts, &section{table: k.Table, kinds: [][]configs.Kind{k.Kinds}})
		}
		parts[i].rows += fmt.Sprintf("| `%s` | %s | %s | %s |\n", k.Name, typeOf(k), code(k.Default), meaning(k))
	}
	for _, s := range parts {
		i := slices.IndexFunc(all, func(old *section) bool { return old.table == s.table && old.rows == s.rows })
		if i < 0 {
			all = append(all, s)
		} else {
			all[i].kinds = append(all[i].kinds, s.kinds...)
		}
	}
	return all
}

// labelOf names a kind that has keys of a table.
func labelOf(table string, k configs.Kind) string {
	label := fmt.Sprintf("%s = %q", k.Key, k.Name)
	if k.Table != table && k.Table != "" {
		label = k.Table + " " + label
	}
	return label
}

// typeOf is the type of a key in a word or two, with its unit.
func typeOf(k configs.Key) string {
	t := strings.TrimPrefix(strings.TrimPrefix(k.Type, "an "), "a ")
	if k.Unit != "" {
		t += ", " + k.Unit
	}
	return t
}

// meaning is what a key is for, and its choices.
func meaning(k configs.Key) string {
	text := escape(k.Doc)
	if len(k.Choices) == 0 {
		return text
	}
	choices := slices.Clone(k.Choices)
	for i, c := range choices {
		choices[i] = "`" + c + "`"
	}
	return text + "; one of " + strings.Join(choices, ", ")
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}

// escape keeps a text within its column, and its signs those of text.
func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(text)
}
