package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// programs are this project's own, by the names of their folders. How one of them was started tells how to start another.
var programs = []string{"train", "compress", "model", "bench", "claims"}

// Command is a command line of this project's program name with its arguments, to be pasted where this process was started:
// "go run ./cmd/model merge runs/a" after go run, else the program beside this one, by a path or by its name. A process that
// is none of the project's programs tells the name alone.
func Command(name string, args ...string) string {
	return command(os.Args[0], runtime.GOOS, name, args)
}

func command(self, goos, name string, args []string) string {
	words := []string{program(self, goos, name)}
	for _, arg := range args {
		words = append(words, Quote(arg))
	}
	return strings.Join(words, " ")
}

func program(self, goos, name string) string {
	dir, base := filepath.Split(self)
	switch {
	case dir == "" || !slices.Contains(programs, strings.TrimSuffix(base, ".exe")) || onPath(self, name):
		return name
	case strings.Contains(filepath.ToSlash(dir), "/go-build"): // where go run puts what it starts
		return "go run ./cmd/" + name
	case goos == "windows":
		name += ".exe"
	}
	return Quote(dir + name)
}

// onPath tells whether a shell finds the named program beside self.
func onPath(self, name string) bool {
	found, err := exec.LookPath(name)
	return err == nil && filepath.Dir(found) == filepath.Dir(self)
}

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
