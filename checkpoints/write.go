package checkpoints

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// Contents is what a checkpoint holds.
type Contents struct {
	Kind   string             // of the model
	Step   int                // at least 0
	Parent *Lineage           // the checkpoint this one was made from, or nil
	Made   *Calibration       // what the weights were chosen by, or nil
	Arrays map[string][]Array // npz file name -> its arrays, in the order they are written
	Files  map[string][]byte  // file name -> its bytes ("config.toml", "state.json", ...)
}

const (
	tempPrefix = ".tmp-" // half-written, or replaced, or being deleted: always garbage
	oldPrefix  = ".old-" // the former checkpoint during a replacement in two steps
)

// Write makes a checkpoint folder at dir, or replaces the one that is there. The folder appears in one step, with
// every byte already on disk: at no moment does dir hold less than a complete checkpoint, old or new (where the
// system cannot exchange two folders in one step, dir is missing for the moment between two renames, and the next
// Write finishes what a kill left there). On error nothing is left and an old checkpoint is intact.
func Write(dir string, c Contents) error { return write(dir, c, nil) }

// write is Write with a hook around the writer of each file, for tests of failing disks.
func write(dir string, c Contents, around func(file string, w io.Writer) io.Writer) (err error) {
	dir = filepath.Clean(dir)
	names, err := c.check(dir)
	if err != nil {
		return failf(err, "%s: %s", dir, err)
	}
	parent, base := filepath.Dir(dir), filepath.Base(dir)
	if err := makeParent(parent); err != nil {
		return failf(err, "%s: %s: no checkpoint can be written there", parent, reason(err))
	}
	if err := checkReplaceable(dir); err != nil {
		return err
	}
	if err := cleanLeftovers(parent, base); err != nil {
		return failf(err, "%s: cannot remove what an interrupted run left: %s", parent, err)
	}
	temp := filepath.Join(parent, tempPrefix+base)
	if err := os.Mkdir(temp, 0o755); err != nil {
		return failf(err, "%s: %s: no checkpoint can be written there", temp, reason(err))
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp) // what cannot be removed now, the next Write removes
		}
	}()

	m := Manifest{FormatVersion: FormatVersion, Kind: c.Kind, Step: c.Step, Parent: c.Parent, Calibration: c.Made}
	if config, ok := c.Files["config.toml"]; ok {
		m.ConfigSHA256 = hashOf(config)
	}
	for _, name := range names {
		fill := func(w io.Writer) ([]Entry, error) {
			if arrays, ok := c.Arrays[name]; ok {
				return writeNpz(w, arrays)
			}
			_, err := w.Write(c.Files[name])
			return nil, err
		}
		f, err := writeFile(temp, name, fill, around)
		if err != nil {
			return notWritten(filepath.Join(dir, name), err)
		}
		m.Files = append(m.Files, f)
	}
	text, err := sealed(m)
	if err != nil {
		return notWritten(filepath.Join(dir, manifestName), err)
	}
	fill := func(w io.Writer) ([]Entry, error) {
		_, err := w.Write(text)
		return nil, err
	}
	if _, err := writeFile(temp, manifestName, fill, around); err != nil {
		return notWritten(filepath.Join(dir, manifestName), err)
	}
	if err := syncDir(temp); err != nil {
		return notWritten(dir, err)
	}
	return publish(temp, dir)
}

func sealed(m Manifest) ([]byte, error) {
	m, err := m.seal()
	if err != nil {
		return nil, err
	}
	return m.encode()
}

// check refuses contents that would not read back, and returns the file names in order.
func (c Contents) check(dir string) ([]string, error) {
	if c.Step < 0 {
		return nil, fmt.Errorf("step is %d; want at least 0", c.Step)
	}
	if n, ok := stepOf(filepath.Base(dir)); ok && n != c.Step {
		return nil, fmt.Errorf("the folder is named for step %d, the contents are of step %d", n, c.Step)
	}
	var names []string
	for name := range c.Files {
		names = append(names, name)
	}
	for name, arrays := range c.Arrays {
		if _, twice := c.Files[name]; twice {
			return nil, fmt.Errorf("file %q is both arrays and bytes", name)
		}
		names = append(names, name)
		seen := make(map[string]bool, len(arrays))
		for _, a := range arrays {
			if _, err := checkArray(a); err != nil {
				return nil, fmt.Errorf("file %q: %w", name, err)
			}
			if seen[a.Name] {
				return nil, fmt.Errorf("file %q has two arrays named %q", name, a.Name)
			}
			seen[a.Name] = true
		}
	}
	sort.Strings(names)
	for _, name := range names {
		if err := checkFileName(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// writeFile creates a file in the folder dir, lets fill write it and makes it durable.
func writeFile(dir, name string, fill func(io.Writer) ([]Entry, error), around func(string, io.Writer) io.Writer) (File, error) {
	out, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return File{}, err
	}
	defer out.Close() // a second Close after the one below does nothing
	var w io.Writer = out
	if around != nil {
		w = around(name, w)
	}
	counted := &counter{w: w, sum: sha256.New()}
	entries, err := fill(counted)
	if err == nil {
		err = out.Sync()
	}
	if err == nil {
		err = out.Close()
	}
	return File{name, counted.n, hex.EncodeToString(counted.sum.Sum(nil)), entries}, err
}

// counter counts and hashes what passes through it.
type counter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

func notWritten(path string, err error) error {
	advice := "the checkpoint was not written, the ones before it are untouched"
	if errors.Is(err, syscall.ENOSPC) {
		advice += "; free some disk space"
	}
	return failf(err, "%s: %s: %s", path, reason(err), advice)
}

// makeParent creates the folder that checkpoints lie in, durably.
func makeParent(parent string) error {
	info, err := os.Stat(parent)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	return syncDir(filepath.Dir(parent))
}

// checkReplaceable refuses to replace anything that is not a checkpoint: the folder would be deleted with all in it.
func checkReplaceable(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failf(err, "%s: %s", dir, reason(err))
	}
	if info.IsDir() {
		entries, err := os.ReadDir(dir)
		if err == nil && len(entries) == 0 {
			return nil
		}
		if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
			return nil
		}
	}
	return failf(nil, "%s: exists and is not a checkpoint (no %s): remove it or choose another folder", dir, manifestName)
}

// publish puts the complete folder temp in the place of dir.
func publish(temp, dir string) error {
	parent, garbage := filepath.Dir(dir), ""
	_, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.Rename(temp, dir)
	case err == nil:
		garbage = temp // where an exchange leaves the old checkpoint
		if err = exchange(temp, dir); errors.Is(err, errors.ErrUnsupported) {
			garbage = filepath.Join(parent, oldPrefix+filepath.Base(dir))
			err = replaceInTwoSteps(temp, dir, garbage)
		}
	}
	if err != nil {
		return notWritten(dir, err)
	}
	if err := syncDir(parent); err != nil {
		return failf(err, "%s: %s: the checkpoint is complete but may not survive a power cut", dir, reason(err))
	}
	if garbage != "" {
		_ = os.RemoveAll(garbage) // what cannot be removed now, the next Write removes
	}
	return nil
}

// replaceInTwoSteps replaces dir where folders cannot be exchanged in one step.
func replaceInTwoSteps(temp, dir, old string) error {
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return nil
}

// cleanLeftovers removes what interrupted writes of base, or of any step, left in parent, and puts a checkpoint back
// that was moved aside and never replaced.
func cleanLeftovers(parent, base string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(parent, e.Name())
		if name, ok := strings.CutPrefix(e.Name(), oldPrefix); ok && ours(name, base) {
			_, missing := os.Lstat(filepath.Join(parent, name))
			if _, err := readManifest(place{dir: path}); err == nil && errors.Is(missing, fs.ErrNotExist) {
				if err := os.Rename(path, filepath.Join(parent, name)); err != nil {
					return err
				}
				continue
			}
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
		if name, ok := strings.CutPrefix(e.Name(), tempPrefix); ok && ours(name, base) {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// ours reports whether a leftover's name can only be from this package.
func ours(name, base string) bool {
	_, step := stepOf(name)
	return step || name == base
}
