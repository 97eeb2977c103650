package extend

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"sparrow/data"
)

// Words are word vectors: each word once, with as many numbers as all others.
type Words interface {
	// Each calls yield with every word; v is valid during the call. What is wrong with the vectors is an error that names the place,
	// and so is what yield returns.
	Each(ctx context.Context, yield func(word string, v []float32) error) error
}

// Limits of vector files: published ones have 25 to 1024 numbers, and words of a few bytes.
const (
	maxDim  = 1 << 14
	maxWord = 1 << 12
)

// File is a file of word vectors: word2vec's text and binary formats, fastText's text format (the same), and GloVe's, which has no
// header.
type File struct {
	Path string
	Read func(done, total int64) // told now and then how many bytes are read; nil: nobody
}

// Each implements Words.
func (f File) Each(ctx context.Context, yield func(string, []float32) error) error {
	file, err := data.OpenFile(f.Path)
	if err != nil {
		return fmt.Errorf("extend: vectors: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("extend: vectors: %w", err)
	}
	r := &vectorReader{ctx: ctx, in: bufio.NewReaderSize(&counted{r: file, total: info.Size(), told: f.Read}, 1<<20), yield: yield, seen: map[uint64]bool{}}
	if err := r.read(); err != nil {
		return fmt.Errorf("extend: vectors: %s: %w", f.Path, err)
	}
	return nil
}

// counted tells how much is read.
type counted struct {
	r           io.Reader
	done, total int64
	told        func(done, total int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.done += int64(n); c.told != nil {
		c.told(c.done, c.total)
	}
	return n, err
}

// vectorReader reads one file.
type vectorReader struct {
	ctx   context.Context
	in    *bufio.Reader
	yield func(string, []float32) error

	promised int // words that the header says; 0: there is no header
	dim      int
	count    int
	seen     map[uint64]bool // hashes of words: two of four million meet by chance once in a million files
	row      []float32
}

func (r *vectorReader) read() error {
	start, err := r.in.Peek(1 << 16)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(bytes.TrimSpace(start)) == 0 {
		return errors.New("the file is empty; want a word and its numbers a line")
	}
	line, rest, _ := bytes.Cut(start, []byte("\n"))
	if fields := strings.Fields(string(line)); len(fields) == 2 && whole(fields[0]) > 0 && whole(fields[1]) > 0 {
		r.promised, r.dim = whole(fields[0]), whole(fields[1])
		if r.dim > maxDim {
			return fmt.Errorf("line 1: vectors of %d numbers; want at most %d", r.dim, maxDim)
		}
		if _, err := r.in.Discard(min(len(line)+1, len(start))); err != nil {
			return err
		}
		if r.row = make([]float32, r.dim); binaryRows(rest) {
			err = r.binary()
		} else {
			err = r.text(2)
		}
	} else {
		err = r.text(1)
	}
	if err == nil && r.promised > 0 && r.count != r.promised {
		err = fmt.Errorf("%d words; the header promises %d: the file is cut or damaged", r.count, r.promised)
	}
	return err
}

// whole is a positive whole number, else 0.
func whole(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// binaryRows tells numbers in bytes from numbers in digits: within a line of text there is no byte 0, and no invalid UTF-8.
func binaryRows(rest []byte) bool {
	rest = rest[:min(len(rest), 1<<12)]
	for len(rest) > 0 { // a rune that the cut has split is none
		if r, n := utf8.DecodeRune(rest); r == utf8.RuneError && n == 1 && len(rest) >= utf8.UTFMax || r == 0 {
			return true
		} else {
			rest = rest[n:]
		}
	}
	return false
}

// text reads lines of a word and its numbers.
func (r *vectorReader) text(number int) error {
	for ; ; number++ {
		line, err := r.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d is longer than %d bytes; want a word and its numbers", number, r.in.Size())
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("line %d: %w", number, err)
		}
		if trimmed := bytes.TrimRight(line, " \r\n"); len(trimmed) > 0 {
			if err := r.line(trimmed); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (r *vectorReader) line(line []byte) error {
	word, numbers, _ := bytes.Cut(line, []byte(" "))
	fields := bytes.Fields(numbers)
	if r.dim == 0 {
		if len(fields) < 1 || len(fields) > maxDim {
			return fmt.Errorf("%d numbers after the word %q; want 1 to %d", len(fields), clip(word), maxDim)
		}
		r.dim = len(fields)
		r.row = make([]float32, r.dim)
	}
	if len(fields) != r.dim {
		return fmt.Errorf("%d numbers after the word %q; want %d as before", len(fields), clip(word), r.dim)
	}
	for i, field := range fields {
		x, err := strconv.ParseFloat(string(field), 32)
		if err != nil {
			return fmt.Errorf("number %d of the word %q is %q; want a finite number", i+1, clip(word), clip(field))
		}
		r.row[i] = float32(x)
	}
	return r.give(word)
}

// binary reads words, each followed by a space and its numbers in four bytes.
func (r *vectorReader) binary() error {
	raw := make([]byte, 4*r.dim)
	for r.count < r.promised {
		var word []byte
		for {
			b, err := r.in.ReadByte()
			if err != nil {
				return fmt.Errorf("it ends within word %d; the header promises %d", r.count+1, r.promised)
			}
			if b == ' ' {
				break
			}
			if b != '\n' || len(word) > 0 {
				word = append(word, b)
			}
			if len(word) > maxWord {
				return fmt.Errorf("word %d is longer than %d bytes: is this a file of word2vec's binary format?", r.count+1, maxWord)
			}
		}
		if _, err := io.ReadFull(r.in, raw); err != nil {
			return fmt.Errorf("it ends within the numbers of word %d, %q; the header promises %d words", r.count+1, clip(word), r.promised)
		}
		for i := range r.row {
			r.row[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		if err := r.give(word); err != nil {
			return fmt.Errorf("word %d: %w", r.count, err)
		}
	}
	return nil
}

// give hands over a word once its row is read.
func (r *vectorReader) give(word []byte) error {
	if r.count++; r.count%1024 == 0 && r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	if !utf8.Valid(word) || len(word) == 0 {
		return fmt.Errorf("the word %q is empty or no UTF-8", clip(word))
	}
	for i, x := range r.row {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("number %d of the word %q is %v; want a finite number", i+1, clip(word), x)
		}
	}
	h := fnv.New64a()
	h.Write(word)
	if key := h.Sum64(); r.seen[key] {
		return fmt.Errorf("the word %q stands there twice", clip(word))
	} else {
		r.seen[key] = true
	}
	return r.yield(string(word), r.row)
}

// clip shortens what a message quotes.
func clip(text []byte) []byte { return text[:min(len(text), 40)] }
