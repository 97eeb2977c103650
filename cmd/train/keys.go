package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/internal/cli"
	"sparrow/recipe"
)

func keysCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "keys [KIND] [KEY]",
		Short: "Explain the keys of configs",
		Long: "Explains every key, those of a kind (of network, attention, layer, source, …), or one: its meaning, unit, choices and default.\n" +
			"The same is in docs/config.md.",
		Example: "  train keys decoder\n  train keys learning_rate\n  train keys table label_column",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := configs.Keys(recipe.Default(), recipe.Lists())
			if err != nil {
				return err
			}
			chosen, err := chooseKeys(all, args)
			if err != nil {
				return err
			}
			if asJSON {
				return listKeys(os.Stdout, chosen)
			}
			explain(os.Stdout, chosen)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// listKeys writes keys as a JSON array.
func listKeys(w io.Writer, keys []configs.Key) error {
	type entry struct {
		Table   string   `json:"table"`
		Kind    string   `json:"kind,omitempty"`
		Name    string   `json:"name"`
		Type    string   `json:"type"`
		Unit    string   `json:"unit,omitempty"`
		Choices []string `json:"choices,omitempty"`
		Default string   `json:"default,omitempty"` // as TOML
		Meaning string   `json:"meaning"`
	}
	entries := []entry{}
	for _, k := range keys {
		entries = append(entries, entry{k.Table, kindText(k), k.Name, k.Type, k.Unit, k.Choices, k.Default, k.Doc})
	}
	return json.NewEncoder(w).Encode(entries)
}

// chooseKeys are those of a kind, of a name, or of both.
func chooseKeys(all []configs.Key, args []string) ([]configs.Key, error) {
	for _, arg := range args {
		of := func(k configs.Key) bool {
			return slices.ContainsFunc(k.Kinds, func(kind configs.Kind) bool { return kind.Name == arg })
		}
		match := of
		if !slices.ContainsFunc(all, of) {
			match = func(k configs.Key) bool {
				return k.Name == arg || strings.Trim(k.Table, "[]") == arg || strings.Trim(k.Table, "[]")+"."+k.Name == arg || slices.Contains(k.Also, arg)
			}
		}
		kept := slices.DeleteFunc(slices.Clone(all), func(k configs.Key) bool { return !match(k) })
		if len(kept) == 0 {
			return nil, cli.Usagef("no kind, table or key %q%s; want one of the kinds %s, or a key such as learning_rate", arg, among(args, arg), strings.Join(kindsOf(all), ", "))
		}
		all = kept
	}
	return all, nil
}

// among says where a second word was looked for.
func among(args []string, arg string) string {
	if len(args) == 2 && arg == args[1] {
		return " of " + args[0]
	}
	return ""
}

func kindsOf(all []configs.Key) (names []string) {
	for _, k := range all {
		for _, kind := range k.Kinds {
			if !slices.Contains(names, kind.Name) {
				names = append(names, kind.Name)
			}
		}
	}
	return names
}

// explain writes keys, under a line for each table and its kinds. A key that many kinds have in the same way is told once.
func explain(w io.Writer, keys []configs.Key) {
	type entry struct {
		key   configs.Key
		kinds []string
	}
	var entries []entry
	for _, k := range keys {
		kind := kindText(k)
		same := func(e entry) bool {
			return e.key.Table == k.Table && e.key.Name == k.Name && e.key.Doc == k.Doc && e.key.Default == k.Default
		}
		if i := slices.IndexFunc(entries, same); i >= 0 {
			if !slices.Contains(entries[i].kinds, kind) {
				entries[i].kinds = append(entries[i].kinds, kind)
			}
			continue
		}
		entries = append(entries, entry{k, []string{kind}})
	}
	head := ""
	for _, e := range entries {
		now := e.key.Table
		if now == "" {
			now = "the top of the file"
		}
		if kinds := strings.Join(e.kinds, " or "); kinds != "" {
			now += " of " + kinds
		}
		if now != head {
			if head != "" {
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, now)
			head = now
		}
		fmt.Fprintf(w, "  %s\n      %s\n", e.key.Name, e.key.Doc)
		facts := e.key.Type
		if e.key.Unit != "" {
			facts += ", in " + e.key.Unit
		}
		if len(e.key.Choices) > 0 {
			facts += "; one of " + strings.Join(e.key.Choices, ", ")
		}
		if e.key.Default != "" {
			facts += "; default " + e.key.Default
		}
		fmt.Fprintf(w, "      (%s)\n", facts)
	}
}

// kindText is the innermost kind that has a key, as a config says it.
func kindText(k configs.Key) string {
	if len(k.Kinds) == 0 {
		return ""
	}
	kind := k.Kinds[len(k.Kinds)-1]
	return fmt.Sprintf("%s = %q", kind.Key, kind.Name)
}
