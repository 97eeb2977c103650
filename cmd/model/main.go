// Command model uses checkpoints without training them: it evaluates them, lets
// them write, and shows what they hold.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

func main() {
	root := &cobra.Command{
		Use:   "model",
		Short: "Use trained models",
	}
	root.AddCommand(evalCommand(), generateCommand(), inspectCommand(), mergeCommand())
	os.Exit(cli.Main(root))
}
