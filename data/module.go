package data

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Module is a version of a Go module that carries a data set.
type Module struct {
	Version string // module@version, with the checksum of which the Go toolchain compares what it gets
	Source  string // the value of Config.Source that needs it
	Files   string // what a folder must have to stand in for it, for messages
}

// Fetch returns the module's folder in the module cache, into which the go command downloads it if it is not there. The
// toolchain verifies the checksum, and the second time needs no network.
func (m Module) Fetch(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.Version)
	// Away from any go.mod, go.work, vendor folder and toolchain line, none of which may change what is fetched.
	command.Dir = os.TempDir()
	command.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off", "GO111MODULE=on", "GOFLAGS=-mod=mod")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var result struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(output, &result); err == nil && (jsonErr != nil || result.Dir == "") {
		err = fmt.Errorf("no folder in its output %q", output)
	}
	if err != nil {
		reason := strings.Join(strings.Fields(cmp.Or(result.Error, stderr.String(), err.Error())), " ")
		return "", fmt.Errorf(`data: source %q: "go mod download %s" failed: %s; connect to the network once and install Go (https://go.dev/dl), or put %s into a folder and name it in [data] root`,
			m.Source, m.Version, reason, m.Files)
	}
	return result.Dir, nil
}
