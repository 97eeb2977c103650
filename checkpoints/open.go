package checkpoints

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Checkpoint is an open checkpoint folder. It holds no file open and may be used by several goroutines.
type Checkpoint struct {
	place
	manifest Manifest
}

// Open reads and checks the manifest of a checkpoint folder and the sizes of its files. Their contents are verified
// when they are read.
func Open(dir string) (*Checkpoint, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, failf(err, "%s: %s: want a checkpoint folder", dir, reason(err))
	}
	if !info.IsDir() {
		return nil, failf(nil, "%s: is a file; want a checkpoint folder", dir)
	}
	return open(place{dir: dir})
}

// OpenFS is Open of a checkpoint at the root of a file system, such as one that a program carries by go:embed. name stands for it
// in messages.
func OpenFS(fsys fs.FS, name string) (*Checkpoint, error) { return open(place{name, fsys}) }

func open(p place) (*Checkpoint, error) {
	m, err := readManifest(p)
	switch {
	case err == nil:
		return &Checkpoint{p, m}, nil
	case errors.Is(err, errVersion):
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		if _, missing := p.stat(manifestName); missing != nil {
			return nil, failf(err, "%s: no %s: not a checkpoint folder, or an incomplete copy of one", p.dir, manifestName)
		}
	}
	return nil, failf(err, "%s; %s", err, p.advice())
}

// Dir is the folder, as it was given to Open.
func (c *Checkpoint) Dir() string { return c.dir }

// Manifest returns what the checkpoint holds. The caller must not change it.
func (c *Checkpoint) Manifest() Manifest { return c.manifest }

// Lineage names this checkpoint as the parent of another.
func (c *Checkpoint) Lineage() *Lineage {
	return &Lineage{Path: filepath.ToSlash(c.dir), SHA256: c.manifest.SHA256}
}

// File returns the bytes of one file, verified.
func (c *Checkpoint) File(name string) ([]byte, error) {
	want, err := c.find(name)
	if err != nil {
		return nil, err
	}
	data, err := c.read(name, want.Size)
	if err != nil {
		return nil, c.damaged(name, err)
	}
	if got := hashOf(data); got != want.SHA256 || int64(len(data)) != want.Size {
		return nil, c.mismatch(name, got, want.SHA256)
	}
	return data, nil
}

func (c *Checkpoint) find(name string) (File, error) {
	f, ok := c.manifest.file(name)
	if !ok {
		return File{}, failf(fs.ErrNotExist, "%s: no such file in the checkpoint; it has %s", c.path(name), c.names())
	}
	return f, nil
}

func (c *Checkpoint) names() string {
	var b bytes.Buffer
	for i, f := range c.manifest.Files {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.Name)
	}
	return b.String()
}

// openVerified opens a file after comparing its size and SHA-256, so that nothing interprets damaged bytes. The
// caller closes it.
func (c *Checkpoint) openVerified(want File) (source, error) {
	f, err := c.open(want.Name)
	if err != nil {
		return nil, c.damaged(want.Name, err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, want.Size+1))
	got := hex.EncodeToString(sum.Sum(nil))
	switch {
	case err != nil:
		err = c.damaged(want.Name, err)
	case n != want.Size || got != want.SHA256:
		err = c.locate(f, want, got)
	default:
		return f, nil
	}
	_ = f.Close()
	return nil, err
}

// locate describes a file whose SHA-256 is wrong, by its damaged array where one can be found.
func (c *Checkpoint) locate(f source, want File, got string) error {
	whole := c.mismatch(want.Name, got, want.SHA256)
	archive, err := openNpz(f, want.Size, want.Entries)
	if err != nil {
		return whole
	}
	for i, e := range want.Entries {
		rc, err := archive.File[i].OpenRaw()
		if err != nil {
			return whole
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, rc); err != nil {
			return whole
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != e.SHA256 {
			return failf(nil, "%s: entry %q: SHA-256 is %s, manifest says %s: the file is damaged; %s",
				c.path(want.Name), e.Name, short(got), short(e.SHA256), c.advice())
		}
	}
	return whole
}

func (c *Checkpoint) mismatch(name, got, want string) error {
	return failf(nil, "%s: SHA-256 is %s, manifest says %s: the file is damaged; %s",
		c.path(name), short(got), short(want), c.advice())
}

func (c *Checkpoint) damaged(name string, err error) error {
	return failf(err, "%s: %s: the file cannot be read; %s", c.path(name), reason(err), c.advice())
}
