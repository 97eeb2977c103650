// Command rename gives the module another path: in go.mod and in every import of every Go file.
//
//	go run ./internal/rename example.com/me/sparrow
//
// It changes the checkout in place, and nothing else in it: names of folders, texts and comments stay.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

func main() {
	os.Exit(cli.Main(&cobra.Command{
		Use:   "rename MODULE",
		Short: "Give the module another path, in go.mod and in every import",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := rename(".", args[0])
			if err != nil {
				return cli.Usagef("rename: %w", err)
			}
			fmt.Printf("%s: %d files changed\n", args[0], n)
			return nil
		},
	}))
}

// modulePath is what the go command takes for the path of a module, as far as a mistake is likely.
var modulePath = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9_.~-]*[A-Za-z0-9_~-])*$`)

// rename changes the module in root to another path and returns how many files that concerned.
func rename(root, to string) (changed int, err error) {
	if !modulePath.MatchString(to) {
		return 0, fmt.Errorf("%q is not the path of a module; want one as example.com/me/sparrow", to)
	}
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return 0, err
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	from, ok := strings.CutPrefix(strings.TrimSpace(string(first)), "module ")
	if !ok {
		return 0, errors.New("go.mod does not begin with the module's path")
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "runs" || name == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || !d.Type().IsRegular() {
			return nil
		}
		did, err := imports(path, from, to)
		if did {
			changed++
		}
		return err
	})
	if err != nil {
		return changed, err
	}
	return changed + 1, os.WriteFile(filepath.Join(root, "go.mod"), append([]byte("module "+to+"\n"), rest...), 0o644)
}

// imports changes the imports of a file.
func imports(path, from, to string) (changed bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ImportsOnly)
	if err != nil {
		return false, err
	}
	for _, spec := range slices.Backward(file.Imports) { // from the end, so that places before stay true
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return false, err
		}
		if inside, ok := strings.CutPrefix(name, from); ok && (inside == "" || inside[0] == '/') {
			first, last := set.Position(spec.Path.Pos()).Offset, set.Position(spec.Path.End()).Offset
			text = slices.Concat(text[:first], []byte(strconv.Quote(to+inside)), text[last:])
			changed = true
		}
	}
	if !changed {
		return false, nil
	}
	return true, os.WriteFile(path, text, 0o644)
}
