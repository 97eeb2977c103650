package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/internal/shell"
)

// TestMainExitCodes: each kind of error has the exit code of the contract.
func TestMainExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		err  error
		want int
	}{
		{"done", nil, nil, 0},
		{"failed", nil, errors.New("disk full"), 1},
		{"usage", nil, Usagef("--x = %d", 1), 2},
		{"wrapped usage", nil, fmt.Errorf("eval: %w", Usagef("--x")), 2},
		{"config", nil, configs.Problems{{File: "a.toml", Message: "wrong"}}, 2},
		{"cannot start", nil, fmt.Errorf("%w: full", shell.Sentinel(shell.ExitUsage, "cannot start")), 2},
		{"interrupted", nil, fmt.Errorf("%w; saved", shell.Sentinel(shell.ExitInterrupted, "interrupted")), 130},
		{"broken promise", nil, fmt.Errorf("%w: budget", shell.Sentinel(shell.ExitBroken, "broken")), 3},
		{"cancelled", nil, context.Canceled, 1},
		{"unknown flag", []string{"--y"}, nil, 2},
		{"too many arguments", []string{"more"}, nil, 2},
	} {
		root := &cobra.Command{Use: "program"}
		root.AddCommand(&cobra.Command{Use: "verb", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return c.err }})
		root.SetArgs(append([]string{"verb"}, c.args...))
		if got := Main(root); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}
