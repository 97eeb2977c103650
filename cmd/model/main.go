// Command model uses checkpoints without training them: it evaluates them, lets
// them write, and shows what they hold.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"sparrow/cmd/model/index"
	"sparrow/internal/cli"
	"sparrow/model"
)

// baseFlag adds the --base flag of commands that read weights.
func baseFlag(c *cobra.Command, base *string) {
	c.Flags().StringVar(base, "base", "", "of an adapter: the run or checkpoint it was trained on, if that has moved")
}

// computeFlag adds the --compute flag of commands that use a model.
func computeFlag(c *cobra.Command, compute *string) {
	c.Flags().StringVar(compute, "compute", "float32", "of products with weights: float32, or int8, which is faster and rounds weights and what they multiply to 8 bits")
	cli.Choices(c, "compute", "float32", "int8")
}

// computing is how such a command opens its model.
func computing(compute string) (model.Options, error) {
	if compute != "float32" && compute != "int8" {
		return model.Options{}, cli.Usagef("--compute %s; want float32 or int8", compute)
	}
	return model.Options{Packed: true, Int8: compute == "int8"}, nil
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
