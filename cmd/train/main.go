// Command train makes checkpoints: it trains a model from a TOML file, and
// continues runs that were interrupted.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

func main() {
	root := &cobra.Command{
		Use:   "train",
		Short: "Train a transformer from a TOML file",
	}
	root.AddCommand(runCommand(), resumeCommand(), initCommand(), keysCommand(), sweepCommand())
	os.Exit(cli.Main(root))
}
