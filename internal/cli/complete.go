package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// Choices are what a flag may be, for the completion of shells.
func Choices(c *cobra.Command, flag string, choices ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
}

// complete lets shells complete a command's arguments by what its usage line calls them: folders of runs and checkpoints; and its config
// by TOML files.
func complete(c *cobra.Command) {
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
		for _, word := range strings.Fields(c.Use)[1:] {
			if strings.Contains(word, "RUN") || strings.Contains(word, "DIR") || strings.Contains(word, "CHECKPOINT") {
				c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
					return nil, cobra.ShellCompDirectiveFilterDirs
				}
				break
			}
		}
	}
	if c.Flags().Lookup("config") != nil {
		if err := c.MarkFlagFilename("config", "toml"); err != nil {
			panic(err) // the flag is there
		}
	}
}
