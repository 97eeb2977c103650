package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sparrow/group"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/train"
)

// together runs a training in the group of processes that this one was started in. Rank 0 tells of it. An error of one ends all, at once,
// since the others wait for it.
func together(dir string, prepare func(g *group.Group, out io.Writer) (t *train.Trainer, done bool, err error), asJSON bool) error {
	g, err := group.Open()
	if err != nil {
		return cli.Usagef("%w", err)
	}
	var out io.Writer = os.Stderr
	if g.Rank() > 0 {
		out = io.Discard
	}
	t, done, err := prepare(g, out)
	if err == nil && !done {
		err = finish(t, g, dir, asJSON)
	}
	if err != nil && g.Size() > 1 && !errors.Is(err, shell.ErrInterrupted) { // which all have agreed on
		at := ""
		if t != nil {
			at = fmt.Sprintf(", step %d", t.Step())
		}
		fmt.Fprintf(os.Stderr, "rank %d of %d%s: %v\ncontinue from the newest checkpoint, with as many processes as you like, by: %s\n",
			g.Rank(), g.Size(), at, err, shell.Command("train", "resume", dir))
		g.Abort(max(1, shell.ExitCode(err)))
	}
	return errors.Join(err, g.Close())
}
