// Command pages writes the parts of the documents that are made and not written: docs/config.md, of the tags of config
// structs; the table and the drawing of the packages; the first page's picture, of measured results. Run it in the root of
// the module:
//
//	go run ./internal/pages            write them
//	go run ./internal/pages --check    say which are not what would be written; exit code 1
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

// A made file is one that is made, not written.
type made struct {
	path string // from the root of the module
	make func() ([]byte, error)
}

// all are the files that are made.
var all = []made{
	{"docs/loss-over-bytes.svg", picture},
	{"docs/config.md", keysPage},
	{architecture, architecturePage},
	{"docs/packages.svg", housePicture},
}

func main() {
	var check bool
	c := &cobra.Command{
		Use:   "pages",
		Short: "Write the parts of the documents that are made",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return write(all, check) },
	}
	c.Flags().BoolVar(&check, "check", false, "write nothing, and fail if something is not as it would be written")
	os.Exit(cli.Main(c))
}

// write makes files; with check it compares them with those that are there instead.
func write(files []made, check bool) error {
	for _, m := range files {
		text, err := m.make()
		if err != nil {
			return err
		}
		if !check {
			if err := os.WriteFile(m.path, text, 0o644); err != nil {
				return err
			}
			continue
		}
		there, err := os.ReadFile(m.path)
		if err != nil {
			return err
		}
		if !bytes.Equal(there, text) {
			return fmt.Errorf("%s is not what is made of its source: go run ./internal/pages", m.path)
		}
	}
	return nil
}
