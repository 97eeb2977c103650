package labelled

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Vectors are pretrained vectors of the words of a tokenizer.
type Vectors struct {
	Dim  int
	Rows []float32 // [VocabSize, Dim]; zeros where Has is false
	Has  []bool    // [VocabSize], whether the file has the word

	// Found and Missing count the words of the vocabulary, without special tokens.
	Found, Missing int
}

// maxVectorDim bounds the width of vectors: published ones have 25 to 1024 numbers.
const maxVectorDim = 1 << 14

// LoadVectors reads the vectors of a word tokenizer's vocabulary from a file in GloVe's text format (Pennington, Socher,
// Manning, "GloVe: Global Vectors for Word Representation", EMNLP 2014): a word and its numbers a line, separated by single
// spaces, all lines of one width. The first of two lines for a word counts. The header line of fastText's files (two whole
// numbers) and words with spaces, which glove.840B has, are skipped. Errors name the line.
func LoadVectors(path string, tokenizer tokenizers.Tokenizer) (*Vectors, error) {
	t, ok := tokenizer.(*tokenizers.WordTokenizer)
	if !ok {
		return nil, fmt.Errorf("data: vectors: %s: a %s tokenizer has no words to look up, want tokenizer = \"word\"", path, tokenizer.Kind())
	}
	file, err := data.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("data: vectors: %w", err)
	}
	defer file.Close()
	v := &Vectors{Has: make([]bool, t.VocabSize())}
	reader := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("the line is longer than %d bytes, want a word and its numbers", reader.Size())
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("data: vectors: %s:%d: %w", path, number, err)
		}
		last := err != nil
		if line = bytes.TrimRight(line, " \r\n"); len(line) > 0 {
			if err := v.add(t, line, number == 1); err != nil {
				return nil, fmt.Errorf("data: vectors: %s:%d: %w", path, number, err)
			}
		}
		if last {
			break
		}
	}
	if v.Dim == 0 {
		return nil, fmt.Errorf("data: vectors: %s: the file is empty, want a word and its numbers a line", path)
	}
	if v.Missing = t.WordCount() - v.Found; v.Found == 0 {
		return nil, fmt.Errorf("data: vectors: %s: none of the %d words of the vocabulary is in it", path, v.Missing)
	}
	return v, nil
}

// vectorDim returns the width of the vectors of a file from its first lines.
func vectorDim(path string) (int, error) {
	file, err := data.OpenFile(path)
	if err != nil {
		return 0, fmt.Errorf("data: vectors: %w", err)
	}
	defer file.Close()
	v, none := Vectors{}, &tokenizers.WordTokenizer{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for number := 1; v.Dim == 0 && lines.Scan(); number++ {
		if line := bytes.TrimRight(lines.Bytes(), " \r"); len(line) > 0 {
			if err := v.add(none, line, number == 1); err != nil {
				return 0, fmt.Errorf("data: vectors: %s:%d: %w", path, number, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("data: vectors: %s: %w", path, err)
	}
	if v.Dim == 0 {
		return 0, fmt.Errorf("data: vectors: %s: the file is empty, want a word and its numbers a line", path)
	}
	return v.Dim, nil
}

// add reads one line.
func (v *Vectors) add(t *tokenizers.WordTokenizer, line []byte, first bool) error {
	word, numbers, _ := bytes.Cut(line, []byte(" "))
	width := bytes.Count(line, []byte(" "))
	switch {
	case first && width == 1 && isWhole(word) && isWhole(numbers):
		return nil
	case v.Dim == 0 && (width == 0 || width > maxVectorDim):
		return fmt.Errorf("%d numbers after the word %q, want 1 to %d", width, word, maxVectorDim)
	case v.Dim == 0:
		v.Dim = width
		v.Rows = make([]float32, t.VocabSize()*v.Dim)
	case width > v.Dim && !startsWithNumber(numbers):
		return nil
	case width != v.Dim:
		return fmt.Errorf("%d numbers after the word %q, want %d as in the lines before", width, word, v.Dim)
	}
	id, known := t.ID(string(word))
	if !known || v.Has[id] {
		return nil
	}
	row := v.Rows[id*v.Dim : (id+1)*v.Dim]
	for i := range row {
		var field []byte
		field, numbers, _ = bytes.Cut(numbers, []byte(" "))
		x, err := strconv.ParseFloat(string(field), 32)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("number %d of the word %q is %q, want a finite number", i+1, word, field)
		}
		row[i] = float32(x)
	}
	v.Has[id] = true
	v.Found++
	return nil
}

func isWhole(text []byte) bool {
	_, err := strconv.Atoi(string(text))
	return err == nil
}

// startsWithNumber tells a line with too many numbers from a word with spaces.
func startsWithNumber(text []byte) bool {
	field, _, _ := bytes.Cut(text, []byte(" "))
	_, err := strconv.ParseFloat(string(field), 32)
	return err == nil
}
