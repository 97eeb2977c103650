package checkpoints

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
)

// lockName is the file that Lock leaves in a folder. It is empty and means nothing by itself.
const lockName = ".lock"

// ErrLocked is Lock's error where somebody else holds the folder.
var ErrLocked = errors.New("in use by another process")

// Lock holds the folder dir, which exists, until unlock is called or the process ends, however it ends. Where the folder or
// its file system takes no locks nothing is held and nothing is wrong: what is written there is as safe as it was.
func Lock(dir string) (unlock func(), err error) {
	l := flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o644))
	held, err := l.TryLock()
	if err == nil && !held {
		return nil, ErrLocked
	}
	return func() { _ = l.Close() }, nil // closing its file unlocks it
}

// Empty tells whether a folder is not there or holds nothing but what is left of somebody who locked it and was killed while
// he wrote the file first by WriteFileAtomic.
func Empty(dir, first string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == lockName || e.Name() == tempPrefix+first
	})
	return err == nil && len(entries) == 0, err
}
