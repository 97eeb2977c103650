package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sparrow/compress/report"
	"sparrow/internal/cli"
)

func reportCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "report DIR",
		Short:   "Explain a compression in one HTML file",
		Long:    "Explain a compression in one HTML file that needs no network: sizes, quality and speed before and after, what became\nof each layer, its spectrum, and what other budgets would cost. Speeds are those of the last verify. compress run and\nverify write it too.",
		Example: "  compress report runs/compress-fwsvd",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := report.Write(args[0], file)
			if err == nil {
				fmt.Println(path)
			}
			return err
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "file to write (default DIR/report.html)")
	cli.Threads(c)
	return c
}
