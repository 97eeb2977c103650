package checkpoints

import (
	"errors"
	"path/filepath"

	"github.com/gofrs/flock"
)

// LockName is the file that Lock leaves in a folder. It is empty and means nothing by itself.
const LockName = ".lock"

// ErrLocked is Lock's error where somebody else holds the folder.
var ErrLocked = errors.New("in use by another process")

// Lock holds the folder dir, which exists, until unlock is called or the process ends, however it ends. Where the folder or
// its file system takes no locks nothing is held and nothing is wrong: what is written there is as safe as it was.
func Lock(dir string) (unlock func(), err error) {
	l := flock.New(filepath.Join(dir, LockName), flock.SetPermissions(0o644))
	held, err := l.TryLock()
	if err == nil && !held {
		return nil, ErrLocked
	}
	return func() { _ = l.Close() }, nil // closing its file unlocks it
}
