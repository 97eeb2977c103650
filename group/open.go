//go:build !mpi

package group

import "fmt"

// Open is the group that this process was started in. A program without MPI is always alone, and refuses to be one of several.
func Open() (*Group, error) {
	if n := launched(); n > 1 {
		return nil, fmt.Errorf("group: started as one of %d processes, but this program is built without MPI: build it by CGO_ENABLED=1 go build -tags mpi ./cmd/..., with the headers of Open MPI or MPICH installed", n)
	}
	return Alone(), nil
}
