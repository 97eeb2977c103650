package main

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/cost"
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
			known[place{k.Table, k.Kind, k.Name}] = k.Default
		}
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// place is where a key stands.
type place struct{ table, kind, name string }

// said tells whether a key of a compression is one of a run, with the same default.
func said(k configs.Key, run map[place]string) bool {
	for inner, outer := range map[string]string{"compress.finetune": "train", "compress.data": "data"} {
		if table := strings.Replace(k.Table, inner, outer, 1); table != k.Table {
			value, known := run[place{table, k.Kind, k.Name}]
			return known && value == k.Default
		}
	}
	return false
}

// writeKeys writes a table of Markdown for each table of TOML, and within it for each kind.
func writeKeys(b *strings.Builder, keys []configs.Key) {
	type group struct{ table, kind string }
	var groups []group
	members := map[group][]configs.Key{}
	for _, k := range keys {
		g := group{k.Table, k.Kind}
		if members[g] == nil {
			groups = append(groups, g)
		}
		members[g] = append(members[g], k)
	}
	for _, g := range groups {
		head := "the top"
		if g.table != "" {
			head = "`" + g.table + "`"
		}
		if g.kind != "" {
			head += ", kind `" + g.kind + "`"
		}
		fmt.Fprintf(b, "### %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", head)
		for _, k := range members[g] {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.Name, typeOf(k), code(k.Default), meaning(k))
		}
		b.WriteString("\n")
	}
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
