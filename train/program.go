package train

import (
	"strings"
)

// Program is how messages name the command that trains, so that the commands they advise work when pasted. A main
// that was started in another way than by its name sets it.
var Program = "train"

// resumeCommand is the command that continues the run in dir.
func resumeCommand(dir string) string { return Program + " resume " + Quote(dir) }

// Quote writes an argument as a POSIX shell reads it.
func Quote(arg string) string {
	special := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./=,:@%+", r))
	}
	if arg != "" && !strings.ContainsFunc(arg, special) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
