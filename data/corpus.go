package data

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// corpus is the text of both splits.
type corpus struct {
	train, validation split
	files             int // files read, over both splits
}

// split is one half of a corpus: its documents in one buffer, each followed by separatorByte.
type split struct {
	text      []byte
	documents []document
}

// document is one text of a split.
type document struct {
	start, end int    // in split.text, without the separator, which is at end
	path       string // the file it comes from
	offset     int    // its place in that file
}

// content returns the text of document i. It shares the memory of s.text, which is not written once it is read: copies
// would double the memory of loading.
func (s *split) content(i int) string { return s.all()[s.documents[i].start:s.documents[i].end] }

// all returns the text of all documents with their separators, in the memory of s.text.
func (s *split) all() string { return unsafe.String(unsafe.SliceData(s.text), len(s.text)) }

// add appends a document; an empty one is left out.
func (s *split) add(text []byte, path string, offset int) {
	if len(text) > 0 {
		start := len(s.text)
		s.text = append(s.text, text...)
		s.close(start, path, offset)
	}
}

// close ends the document whose text has been appended at start.
func (s *split) close(start int, path string, offset int) {
	s.documents = append(s.documents, document{start, len(s.text), path, offset})
	s.text = append(s.text, separatorByte)
}

// checkUTF8 returns an error that names the first file and byte that is not valid UTF-8.
func (s *split) checkUTF8() error {
	for i, d := range s.documents {
		text := s.content(i)
		if at := invalidAt(text); at >= 0 {
			return fmt.Errorf("data: %s: not valid UTF-8 at byte %d (0x%02x); convert the file, or use tokenizer = \"byte\", which takes any content",
				d.path, d.offset+at, text[at])
		}
	}
	return nil
}

// openCorpus reads the source that cfg names.
func openCorpus(ctx context.Context, cfg Config) (*corpus, error) {
	switch cfg.Source {
	case "goroot":
		return openGoroot(ctx, cfg)
	case "text":
		return openText(ctx, cfg)
	default:
		return nil, fmt.Errorf("data: unknown source %q, want one of %s", cfg.Source, quotedList(sources))
	}
}

// hash returns the SHA-256 of both splits in order, as hexadecimal. The length before each split keeps apart two corpora
// that are cut at different places. File names are left out: a corpus that moves is still the same.
func (c *corpus) hash() string {
	h := sha256.New()
	for _, s := range []*split{&c.train, &c.validation} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(s.text))))
		h.Write(s.text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// source is a file that may become a document.
type source struct {
	path string // where to read it
	name string // slash-separated, the same on every machine: order and choices depend on it
	size int64
}

// nameHash is uniform over 64 bits and depends on the name only.
func nameHash(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

// capSources returns the files to take when at most limit bytes may be taken: in the order of the hashes of their names,
// each that still fits, and then in the order of their names. Hash order takes a few files from everywhere; alphabetical
// order would take all of the first packages. A limit of 0 takes all.
func capSources(files []source, limit int64) []source {
	files = slices.Clone(files)
	byName := func(a, b source) int { return cmp.Compare(a.name, b.name) }
	if limit > 0 {
		slices.SortFunc(files, func(a, b source) int {
			return cmp.Or(cmp.Compare(nameHash(a.name), nameHash(b.name)), byName(a, b))
		})
		taken := files[:0]
		for _, file := range files {
			if file.size <= limit {
				limit -= file.size
				taken = append(taken, file)
			}
		}
		files = taken
	}
	slices.SortFunc(files, byName)
	return files
}

// totalSize returns the bytes of files.
func totalSize(files []source) int {
	total := int64(0)
	for _, file := range files {
		total += file.size
	}
	return int(total)
}

// appendFile reads a file to the end of buffer without a buffer of its own.
func appendFile(buffer []byte, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return buffer, err
	}
	defer file.Close()
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

// lineCut returns a place near at, which is below len(text), where text can be cut: at itself at the start of a line, else
// after the next line break, else after the last one, else before the rune at that place.
func lineCut(text []byte, at int) int {
	if at > 0 && text[at-1] == '\n' {
		return at
	}
	if next := bytes.IndexByte(text[at:], '\n'); next >= 0 && at+next+1 < len(text) {
		return at + next + 1
	}
	return lineCutBefore(text, at)
}

// lineCutBefore is lineCut without going beyond at.
func lineCutBefore(text []byte, at int) int {
	if last := bytes.LastIndexByte(text[:at], '\n'); last >= 0 {
		return last + 1
	}
	// Move back to the start of a UTF-8 sequence; content that is not UTF-8 may be cut anywhere.
	for back := range min(utf8.UTFMax, at+1) {
		if utf8.RuneStart(text[at-back]) {
			return at - back
		}
	}
	return at
}
