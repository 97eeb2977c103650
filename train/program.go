package train

import "sparrow/internal/shell"

// resumeCommand is the command that continues the run in dir.
func resumeCommand(dir string, more ...string) string {
	return shell.Command("train", append([]string{"resume", dir}, more...)...)
}
