package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrCheckpoint is what every error of this package matches, for errors.Is.
var ErrCheckpoint = errors.New("checkpoints: cannot use this checkpoint")

// failure is an error with its cause kept for errors.Is (fs.ErrNotExist, syscall.ENOSPC).
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string        { return f.text }
func (f *failure) Is(target error) bool { return target == ErrCheckpoint }
func (f *failure) Unwrap() error        { return f.cause }

// failf returns a failure; the arguments say where, what was found, what was wanted and what to do.
func failf(cause error, format string, args ...any) error {
	return &failure{fmt.Sprintf(format, args...), cause}
}

// reason is err without the operation and path in front, which messages of this package give themselves.
func reason(err error) string {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err.Error()
	case errors.As(err, &linkErr):
		return linkErr.Err.Error()
	}
	return err.Error()
}
