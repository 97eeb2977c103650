//go:build !(linux || darwin || freebsd || netbsd || openbsd || windows)

package foreign

import (
	"errors"
	"os"
)

func mapFile(*os.File, int) ([]byte, func() error, error) { return nil, nil, errors.ErrUnsupported }
