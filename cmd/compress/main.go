// Command compress makes trained checkpoints smaller, proves the result and explains it.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
)

func main() {
	root := &cobra.Command{
		Use:   "compress",
		Short: "Make a trained checkpoint smaller",
	}
	root.AddCommand(planCommand(), runCommand(), verifyCommand(), reportCommand(), sweepCommand())
	os.Exit(cli.Main(root))
}
