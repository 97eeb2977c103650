package checkpoints

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// place is where the files of a checkpoint are.
type place struct {
	dir  string // for messages, and where the files are if fsys is nil
	fsys fs.FS  // whose root has the files; nil: the system's
}

// path is how messages call a file.
func (p place) path(name string) string {
	if p.fsys != nil {
		return path.Join(p.dir, name)
	}
	return filepath.Join(p.dir, name)
}

func (p place) stat(name string) (fs.FileInfo, error) {
	if p.fsys != nil {
		return fs.Stat(p.fsys, name)
	}
	return os.Stat(p.path(name))
}

// source is an open file that is read from any place of it.
type source interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// open opens a file. One of a file system that cannot read from any place is read whole.
func (p place) open(name string) (source, error) {
	if p.fsys == nil {
		return os.Open(p.path(name))
	}
	f, err := p.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if s, ok := f.(source); ok {
		return s, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, info.Size()+1))
	return inMemory{bytes.NewReader(content)}, err
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// read reads a file of at most limit bytes. What is no file is not opened: a pipe would wait for a writer.
func (p place) read(name string, limit int64) ([]byte, error) {
	info, err := p.stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a file; want the one that was written")
	}
	f, err := p.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes; want a file of the size that was written", limit)
	}
	return text, err
}

// advice says what to do about a damaged checkpoint.
func (p place) advice() string {
	if p.fsys == nil {
		if name, ok := older(p.dir); ok {
			return "use an older checkpoint (" + name + ")"
		}
	}
	return "restore it from a copy"
}
