package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sparrow/checkpoints"
)

// cache is the part of a cache that belongs to one model, laid out as huggingface_hub does:
//
//	models--OWNER--NAME/blobs/CHECKSUM           the bytes; .incomplete while they come
//	models--OWNER--NAME/refs/REVISION            the commit that a branch or tag had
//	models--OWNER--NAME/snapshots/COMMIT/FILE    a link to the bytes
//	.locks/models--OWNER--NAME                   held by who fetches
type cache struct {
	root string
	id   ID
}

func (c cache) dir() string                 { return filepath.Join(c.root, c.base()) }
func (c cache) base() string                { return "models--" + c.id.Owner + "--" + c.id.Name }
func (c cache) folder(commit string) string { return filepath.Join(c.dir(), "snapshots", commit) }
func (c cache) blob(f file) string          { return filepath.Join(c.dir(), "blobs", f.checksum) }
func (c cache) partial(f file) string       { return c.blob(f) + ".incomplete" }
func (c cache) ref() string                 { return filepath.Join(c.dir(), "refs", filepath.FromSlash(c.id.Revision)) }

// lock makes the folders and holds them.
func (c cache) lock() (func(), error) {
	locks := filepath.Join(c.root, ".locks", c.base())
	for _, dir := range []string{locks, filepath.Join(c.dir(), "blobs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("%w: the cache: %w; name another folder by HF_HOME", ErrHub, err)
		}
	}
	return checkpoints.Lock(locks)
}

// has tells whether a snapshot holds a file.
func (c cache) has(commit, name string) bool {
	info, err := os.Stat(filepath.Join(c.folder(commit), filepath.FromSlash(name)))
	return err == nil && info.Mode().IsRegular()
}

// holds tells whether the bytes of a file are there.
func (c cache) holds(f file) bool {
	info, err := os.Stat(c.blob(f))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.size
}

// keep makes a complete download the bytes of its file.
func (c cache) keep(f file) error { return os.Rename(c.partial(f), c.blob(f)) }

// link puts a file into a snapshot: a link to its bytes, or where a file system has no links a copy.
func (c cache) link(commit string, f file) error {
	path := filepath.Join(c.folder(commit), filepath.FromSlash(f.name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	to, err := filepath.Rel(filepath.Dir(path), c.blob(f))
	if err != nil {
		return err
	}
	temp := path + ".new"
	_ = os.Remove(temp)
	if err := os.Symlink(to, temp); err == nil {
		return os.Rename(temp, path)
	}
	return checkpoints.StreamFileAtomic(path, func(w io.Writer) error {
		in, err := os.Open(c.blob(f))
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
}

// refer notes the commit of a revision that is a name.
func (c cache) refer(commit string) error {
	if c.id.Revision == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.ref()), 0o755); err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(c.ref(), []byte(commit))
}

// snapshot is the folder that the cache holds of a revision.
func (c cache) snapshot() (string, error) {
	commit := c.id.Revision
	if !commitID.MatchString(commit) {
		text, err := os.ReadFile(c.ref())
		if commit = strings.TrimSpace(string(text)); err != nil || !commitID.MatchString(commit) {
			return "", fmt.Errorf("%w: the cache %s holds no revision %s of %s; unset HF_HUB_OFFLINE to fetch it", ErrHub, c.root, c.id.Revision, c.id.Repo())
		}
	}
	if info, err := os.Stat(c.folder(commit)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%w: the cache %s holds no revision %s of %s; unset HF_HUB_OFFLINE to fetch it", ErrHub, c.root, c.id.Revision, c.id.Repo())
	}
	return c.folder(commit), nil
}

// advise adds to the error of a hub that did not answer what the cache can do.
func (c cache) advise(ctx context.Context, err error) error {
	if _, missing := c.snapshot(); missing != nil || ctx.Err() != nil || !errors.Is(err, ErrTransfer) {
		return err
	}
	return fmt.Errorf("%w; the cache holds this revision: HF_HUB_OFFLINE=1 takes it from there", err)
}
