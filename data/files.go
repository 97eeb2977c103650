package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
)

// File is a file that may become a document.
type File struct {
	Path string // where to read it
	Name string // slash-separated, the same on every machine: order and choices depend on it
	Size int64
}

// NameHash is uniform over 64 bits and depends on the name only.
func NameHash(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

// CapFiles returns the files to take when at most limit bytes may be taken: in the order of the hashes of their names,
// each that still fits, and then in the order of their names. Hash order takes a few files from everywhere; alphabetical
// order would take all of the first packages. A limit of 0 takes all.
func CapFiles(files []File, limit int64) []File {
	files = slices.Clone(files)
	byName := func(a, b File) int { return cmp.Compare(a.Name, b.Name) }
	if limit > 0 {
		slices.SortFunc(files, func(a, b File) int {
			return cmp.Or(cmp.Compare(NameHash(a.Name), NameHash(b.Name)), byName(a, b))
		})
		taken := files[:0]
		for _, file := range files {
			if file.Size <= limit {
				limit -= file.Size
				taken = append(taken, file)
			}
		}
		files = taken
	}
	slices.SortFunc(files, byName)
	return files
}

// TotalSize returns the bytes of files.
func TotalSize(files []File) int {
	total := int64(0)
	for _, file := range files {
		total += file.Size
	}
	return int(total)
}

// OpenFile opens a file for reading. Pipes and devices are refused: they may never end, or wait for ever.
func OpenFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() { // of a folder the reading says what it is
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is a pipe or a device, want a file")}
	}
	return os.Open(path)
}

// ReadFile is os.ReadFile of what [OpenFile] opens.
func ReadFile(path string) ([]byte, error) {
	file, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, info.Size()+1) // and one, to see the end
	return appendAll(content, file)
}

// AppendFile reads a file to the end of buffer without a buffer of its own.
func AppendFile(buffer []byte, path string) ([]byte, error) {
	file, err := OpenFile(path)
	if err != nil {
		return buffer, err
	}
	defer file.Close()
	return appendAll(buffer, file)
}

func appendAll(buffer []byte, file *os.File) ([]byte, error) {
	for {
		if len(buffer) == cap(buffer) {
			buffer = slices.Grow(buffer, 1<<16)
		}
		n, err := file.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if errors.Is(err, io.EOF) {
			return buffer, nil
		}
		if err != nil {
			return buffer, err
		}
	}
}
