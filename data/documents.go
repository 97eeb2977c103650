package data

import (
	"fmt"
	"unicode/utf8"
	"unsafe"
)

// Separator stands between documents. Zero occurs in no text file, so that a network can tell the end of a document
// from everything within one; a line break or a blank line could not.
const Separator = 0

// Documents is one half of a corpus: texts in one buffer, each followed by Separator.
type Documents struct {
	Text []byte
	List []Document
}

// Document is one text of a half.
type Document struct {
	Start, End int    // in Text, without the separator, which is at end
	Path       string // the file it comes from
	Offset     int    // its place in that file
}

// Content returns the text of document i. It shares the memory of s.Text, which is not written once it is read: copies
// would double the memory of loading.
func (s *Documents) Content(i int) string { return s.All()[s.List[i].Start:s.List[i].End] }

// All returns the text of all documents with their separators, in the memory of s.Text.
func (s *Documents) All() string { return unsafe.String(unsafe.SliceData(s.Text), len(s.Text)) }

// Add appends a document; an empty one is left out.
func (s *Documents) Add(text []byte, path string, offset int) {
	if len(text) > 0 {
		start := len(s.Text)
		s.Text = append(s.Text, text...)
		s.Close(start, path, offset)
	}
}

// Close ends the document whose text has been appended at start.
func (s *Documents) Close(start int, path string, offset int) {
	s.List = append(s.List, Document{start, len(s.Text), path, offset})
	s.Text = append(s.Text, Separator)
}

// CheckUTF8 returns an error that names the first file and byte that is not valid UTF-8.
func (s *Documents) CheckUTF8() error {
	for i, d := range s.List {
		text := s.Content(i)
		if at := InvalidUTF8(text); at >= 0 {
			return fmt.Errorf("data: %s: not valid UTF-8 at byte %d (0x%02x); convert the file, or use tokenizer = \"byte\", which takes any content",
				d.Path, d.Offset+at, text[at])
		}
	}
	return nil
}

// InvalidUTF8 returns the place of the first byte that is not valid UTF-8, or -1.
func InvalidUTF8(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}
