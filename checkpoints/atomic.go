package checkpoints

import (
	"io"
	"os"
	"path/filepath"
)

// WriteFileAtomic writes a file so that path holds the old bytes or the new ones at any moment, also after a power
// cut. What a kill leaves beside it (.tmp-NAME) is overwritten by the next call.
func WriteFileAtomic(path string, data []byte) error {
	return StreamFileAtomic(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// StreamFileAtomic is [WriteFileAtomic] for a file that does not fit in memory: write puts it into w, bit by bit. An
// error of write leaves the old file.
func StreamFileAtomic(path string, write func(w io.Writer) error) (err error) {
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
	if err := write(out); err != nil {
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
