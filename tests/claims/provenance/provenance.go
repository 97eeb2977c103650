package provenance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"sparrow/kernel"
)

// Machine is where numbers come from.
type Machine struct {
	CPU            string `json:"cpu"`
	Cores          int    `json:"cores"`
	OS             string `json:"os"`
	Arch           string `json:"arch"`
	Go             string `json:"go"`
	InstructionSet string `json:"instruction_set"`
}

// This is the machine that the program runs on.
func This() Machine {
	return Machine{
		CPU: cpuName(), Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Go: runtime.Version(), InstructionSet: kernel.ISA(),
	}
}

// String names it in one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s/%s, %s, %s", m.CPU, m.Cores, m.OS, m.Arch, m.InstructionSet, m.Go)
}

// cpuName is the processor's own name where Linux tells it.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for _, line := range strings.Split(string(text), "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown"
}

// Root is the folder of this module, at or above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module sparrow\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the module; want to be run in a checkout of sparrow")
		}
		dir = parent
	}
}

// git asks git about the repository that holds file.
func git(file string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", filepath.Dir(file)}, args...)...)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// Commit is the revision of the repository that holds file.
func Commit(file string) string {
	out, err := git(file, "rev-parse", "HEAD")
	if err != nil {
		return "unknown"
	}
	return out
}

// Committed tells whether git has the file as it is. Where there is no repository
// to ask, nobody can tell and it counts as committed.
func Committed(file string) bool {
	if _, err := git(file, "rev-parse", "HEAD"); err != nil {
		return true
	}
	name := filepath.Base(file)
	if _, err := git(file, "ls-files", "--error-unmatch", "--", name); err != nil {
		var exit *exec.ExitError
		return !errors.As(err, &exit)
	}
	out, err := git(file, "status", "--porcelain", "--", name)
	return err == nil && out == ""
}
