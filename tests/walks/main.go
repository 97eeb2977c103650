package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

func main() {
	var list bool
	c := &cobra.Command{
		Use:   "walks [PAGE...]",
		Short: "Run the commands of README.md and docs/ as their pages show them",
		RunE: func(c *cobra.Command, args []string) error {
			all, err := pages(".")
			if err != nil {
				return err
			}
			for _, page := range args {
				if !slices.Contains(all, page) {
					return cli.Usagef("no page %s; there are %q", page, all)
				}
			}
			if len(args) == 0 {
				args = all
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
			defer stop()
			w := &walk{root: ".", list: list, out: os.Stdout}
			return w.pages(ctx, args)
		},
	}
	c.Flags().BoolVar(&list, "list", false, "print the commands and their marks, and run none")
	os.Exit(cli.Main(c))
}

// pages runs pages one after the other; the error counts what failed.
func (w *walk) pages(ctx context.Context, pages []string) error {
	began, failed := time.Now(), 0
	for _, page := range pages {
		n, err := w.page(ctx, page)
		if err != nil {
			return err
		}
		failed += n
	}
	if failed > 0 {
		return fmt.Errorf("%d commands of the documents do not do what their pages say", failed)
	}
	if !w.list {
		fmt.Fprintf(w.out, "%d pages in %.0f s\n", len(pages), time.Since(began).Seconds())
	}
	return nil
}
