package checkpoints

import (
	"os"
	"path/filepath"
)

// WriteFileAtomic writes a file so that path holds the old bytes or the new ones at any moment, also after a power
// cut. What a kill leaves beside it (.tmp-NAME) is overwritten by the next call.
func WriteFileAtomic(path string, data []byte) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	temp := filepath.Join(dir, tempPrefix+base)
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
			err = failf(err, "%s: %s: the file was not written", path, reason(err))
		}
	}()
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer out.Close() // a second Close after the one below does nothing
	if _, err := out.Write(data); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}
