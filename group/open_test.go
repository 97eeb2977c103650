//go:build !mpi

package group

import (
	"strings"
	"testing"
)

func TestWithoutMPIOneIsAlone(t *testing.T) {
	if g, err := Open(); err != nil || g.Size() != 1 {
		t.Error(err)
	}
	t.Setenv("PMI_SIZE", "2")
	if _, err := Open(); err == nil || !strings.Contains(err.Error(), "go build -tags mpi") {
		t.Error(err)
	}
}
