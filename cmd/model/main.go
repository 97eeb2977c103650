// Command model uses checkpoints without training them: it evaluates them, lets
// them write, and shows what they hold.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"sparrow/cmd/model/index"
	"sparrow/internal/cli"
)

// baseFlag adds the --base flag of commands that read weights.
func baseFlag(c *cobra.Command, base *string) {
	c.Flags().StringVar(base, "base", "", "of an adapter: the run or checkpoint it was trained on, if that has moved")
}

func main() {
	root := &cobra.Command{
		Use:   "model",
		Short: "Use trained models",
	}
	root.AddCommand(
		chatCommand(),
		convertCommand(),
		costCommand(),
		discoverCommand(),
		embedCommand(),
		evalCommand(),
		explainCommand(),
		exportCommand(),
		extendCommand(),
		generateCommand(),
		importCommand(),
		index.Command(),
		inspectCommand(),
		interpretCommand(),
		listCommand(),
		mergeCommand(),
		predictCommand(),
		recommendCommand(),
		restoreCommand(),
		sampleCommand(),
		index.SearchCommand(),
		serveCommand(),
	)
	os.Exit(cli.Main(root))
}
