package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/train"
)

func initCommand() *cobra.Command {
	var file, with string
	networks, sources := train.Starters()
	c := &cobra.Command{
		Use:   "init KIND [--with KIND] [-o FILE]",
		Short: "Write a commented config to begin with",
		Long: "Writes a config with the keys that one sets first; the others stand there as comments, with their defaults.\n" +
			"KIND is a network (" + strings.Join(networks, ", ") + ") or a source of data (" + strings.Join(sources, ", ") + ").",
		Example:   "  train init decoder -o my.toml\n  train init table --with lama -o reviews.toml",
		Args:      cobra.ExactArgs(1),
		ValidArgs: append(networks, sources...),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := train.Starter(args[0], with)
			if err != nil {
				return err
			}
			if file == "" {
				_, err := os.Stdout.Write(text)
				return err
			}
			if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
				return cli.Usagef("-o %s: there is something of that name; want a new file", file)
			}
			if err := metrics.WriteFile(file, text); err != nil {
				return err
			}
			fmt.Printf("wrote %s\n\nnext: look it through, above all [data], then\n  %s\n  %s\n", file,
				shell.Command("train", "run", "-c", file, "--dry-run"), shell.Command("train", "run", "-c", file))
			return nil
		},
	}
	c.Flags().StringVar(&with, "with", "", "the source of data for a network, or the network for a source; without it one that suits")
	c.Flags().StringVarP(&file, "output", "o", "", "file to write (default: standard output)")
	return c
}
