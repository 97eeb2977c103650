package extend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"sparrow/data"
)

// Corpus is a user's own text, from which word vectors are made: lines whose words count together.
type Corpus struct {
	Lines []string   // of one language each, or of both: words within a window count together
	Pairs [][]string // translations of each other: all words of a pair count together
}

// ReadLines reads the lines of all files that a pattern names. A pattern that names none, or files without text, is an error.
func ReadLines(glob string) (*Corpus, error) {
	paths, err := filepath.Glob(glob)
	if err != nil {
		return nil, fmt.Errorf("extend: corpus: %q: %w", glob, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("extend: corpus: no file is named like %q", glob)
	}
	c := &Corpus{}
	for _, path := range paths {
		err := eachLine(path, func(_ int, line string) error {
			if strings.TrimSpace(line) != "" {
				c.Lines = append(c.Lines, line)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(c.Lines) == 0 {
		return nil, fmt.Errorf("extend: corpus: the %d files that are named like %q hold no text", len(paths), glob)
	}
	return c, nil
}

// ReadPairs reads a table of tab-separated columns whose two named columns are translations of each other. Without names the table
// has two columns and no header.
func ReadPairs(path string, columns []string) (*Corpus, error) {
	c, at := &Corpus{}, []int{0, 1}
	err := eachLine(path, func(number int, line string) error {
		fields := strings.Split(line, "\t")
		if number == 1 && len(columns) > 0 {
			for i, name := range columns {
				if at[i] = slices.Index(fields, name); at[i] < 0 {
					return fmt.Errorf("no column is named %q; want one of %s", name, data.SomeOf(fields))
				}
			}
			return nil
		}
		if len(columns) == 0 && len(fields) != 2 {
			return fmt.Errorf("%d columns; want 2, or the names of two of them", len(fields))
		}
		if len(fields) <= max(at[0], at[1]) {
			return fmt.Errorf("%d columns; want at least %d", len(fields), max(at[0], at[1])+1)
		}
		if a, b := fields[at[0]], fields[at[1]]; strings.TrimSpace(a) != "" && strings.TrimSpace(b) != "" {
			c.Pairs = append(c.Pairs, []string{a, b})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.Pairs) == 0 {
		return nil, fmt.Errorf("extend: parallel text: %s: no line has text in both columns", path)
	}
	return c, nil
}

// eachLine calls yield with the lines of a file of text and their numbers.
func eachLine(path string, yield func(number int, line string) error) error {
	file, err := data.OpenFile(path)
	if err != nil {
		return fmt.Errorf("extend: text: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("extend: %s: line %d is longer than %d bytes", path, number, in.Size())
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("extend: %s: line %d: %w", path, number, err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if at := data.InvalidUTF8(text); at >= 0 {
			return fmt.Errorf("extend: %s: line %d is not valid UTF-8 at byte %d", path, number, at)
		}
		if text != "" {
			if err := yield(number, text); err != nil {
				return fmt.Errorf("extend: %s: line %d: %w", path, number, err)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// Texts calls yield with all texts.
func (c *Corpus) Texts(yield func(text string)) {
	for _, line := range c.Lines {
		yield(line)
	}
	for _, pair := range c.Pairs {
		for _, side := range pair {
			yield(side)
		}
	}
}

// eachWord calls add with the words of a text, in lower case: runs of letters, marks and digits.
func eachWord(text string, add func(word string)) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
		add(strings.ToLower(word))
	}
}

// vocabulary are the most frequent words, at most limit of those that occur at least twice, in the order of their counts and then
// of their bytes.
func (c *Corpus) vocabulary(ctx context.Context, limit int) ([]string, error) {
	counts, n := map[string]int{}, 0
	var failed error
	c.Texts(func(text string) {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			failed = ctx.Err()
			return
		}
		eachWord(text, func(word string) { counts[word]++ })
	})
	var words []string
	for word, n := range counts {
		if n >= 2 {
			words = append(words, word)
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return words[:min(len(words), limit)], failed
}
