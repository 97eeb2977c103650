package interactions

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"sparrow/data"
)

// table reads the lines of a file whose columns are parted by what its first line shows.
type table struct {
	path      string
	separator string
	header    []string // names without types; nil: there is none
	several   []bool   // columns of the type token_seq, parted by spaces
	lines     *bufio.Reader
	first     []byte // a line that is no header
	number    int    // of the last line
	columns   int
	fields    [][]byte // of the last line
	quoted    []byte
}

// maxLine bounds a line in bytes.
const maxLine = 1 << 20

// openTable opens a file; numeric says that without a header the third column is a number.
func openTable(path string, numeric bool) (*table, io.Closer, error) {
	file, err := data.OpenFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	t := &table{path: path, lines: bufio.NewReaderSize(file, maxLine)}
	line, err := t.line()
	if err == nil && len(line) == 0 {
		err = errors.New("the first line is empty; want columns")
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty; want a line for each")
	}
	if err != nil {
		file.Close()
		return nil, nil, t.wrong(err)
	}
	line = bytes.Clone(bytes.TrimPrefix(line, []byte("\ufeff")))
	t.separator = separatorOf(string(line))
	t.cut(line)
	t.columns = len(t.fields)
	if names, several, ok := headerOf(t.fields, numeric); ok {
		t.header, t.several = names, several
	} else {
		t.first, t.several = line, make([]bool, t.columns)
	}
	return t, file, nil
}

// separatorOf is what parts the columns of a line.
func separatorOf(line string) string {
	switch {
	case strings.Contains(line, "::"):
		return "::"
	case strings.Contains(line, "\t"):
		return "\t"
	case strings.Count(line, "|") > strings.Count(line, ","):
		return "|"
	case strings.Contains(line, ","):
		return ","
	case strings.Contains(line, ";"):
		return ";"
	}
	return " "
}

// headerOf tells whether a first line names the columns, and how.
func headerOf(fields [][]byte, numeric bool) (names []string, several []bool, ok bool) {
	for _, f := range fields {
		name, kind, typed := strings.Cut(string(f), ":")
		switch kind {
		case "token", "token_seq", "float", "float_seq":
			ok = true
		default:
			typed = false
		}
		if !typed {
			name = string(f)
		}
		names, several = append(names, name), append(several, typed && strings.HasSuffix(kind, "_seq"))
	}
	lower := strings.ToLower(names[0])
	if strings.Contains(lower, "id") || strings.HasPrefix(lower, "user") || strings.HasPrefix(lower, "item") {
		ok = true
	}
	if numeric && len(names) > 2 {
		_, err := strconv.ParseFloat(names[2], 64)
		ok = ok || err != nil
	}
	return names, several, ok
}

// line is the next line without its end.
func (t *table) line() ([]byte, error) {
	line, err := t.lines.ReadSlice('\n')
	t.number++
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("the line is longer than %d bytes", maxLine)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// next reads the fields of the next line that is not empty; io.EOF: there is none. They are valid until the next call.
func (t *table) next() error {
	line := t.first
	if t.first = nil; line == nil {
		var err error
		for len(line) == 0 {
			if line, err = t.line(); errors.Is(err, io.EOF) {
				return io.EOF
			} else if err != nil {
				return t.wrong(err)
			}
		}
	}
	if t.cut(line); len(t.fields) != t.columns {
		return t.wrong(fmt.Errorf("%d columns; want %d as in the first line", len(t.fields), t.columns))
	}
	return nil
}

// wrong names the line of an error.
func (t *table) wrong(err error) error { return fmt.Errorf("data: %s:%d: %w", t.path, t.number, err) }

// cut parts a line; of commas, fields in quotes may hold some.
func (t *table) cut(line []byte) {
	t.fields = t.fields[:0]
	if t.separator == "," && bytes.IndexByte(line, '"') >= 0 {
		t.cutQuoted(line)
		return
	}
	for {
		at := bytes.Index(line, []byte(t.separator))
		if at < 0 {
			t.fields = append(t.fields, line)
			return
		}
		t.fields = append(t.fields, line[:at])
		line = line[at+len(t.separator):]
	}
}

func (t *table) cutQuoted(line []byte) {
	t.quoted = make([]byte, 0, len(line))
	for {
		if len(line) == 0 || line[0] != '"' {
			field, rest, more := bytes.Cut(line, []byte(","))
			t.fields = append(t.fields, field)
			if !more {
				return
			}
			line = rest
			continue
		}
		from := len(t.quoted)
		line = line[1:]
		for len(line) > 0 {
			if line[0] == '"' {
				if len(line) < 2 || line[1] != '"' {
					line = line[1:]
					break
				}
				line = line[1:]
			}
			t.quoted = append(t.quoted, line[0])
			line = line[1:]
		}
		_, rest, more := bytes.Cut(line, []byte(","))
		t.fields = append(t.fields, t.quoted[from:len(t.quoted):len(t.quoted)])
		if !more {
			return
		}
		line = rest
	}
}

// column finds a column by its name, or by its number from 1.
func (t *table) column(name string) (int, error) {
	for i, have := range t.header {
		if have == name {
			return i, nil
		}
	}
	n, err := strconv.Atoi(name)
	switch {
	case err == nil && n >= 1 && n <= t.columns:
		return n - 1, nil
	case t.header == nil:
		return 0, fmt.Errorf("data: %s: column %q: the file has no header; want a number from 1 to %d", t.path, name, t.columns)
	}
	return 0, fmt.Errorf("data: %s: there is no column %q; want one of %s, or a number from 1", t.path, name, data.SomeOf(t.header))
}

// named is the first column that has one of these beginnings in its name, else the preset, or -1 where there are fewer.
func (t *table) named(preset int, words ...string) int {
	for _, w := range words {
		for i, name := range t.header {
			if strings.HasPrefix(strings.ToLower(name), w) {
				return i
			}
		}
	}
	if preset >= t.columns {
		return -1
	}
	return preset
}

// text is a field as UTF-8: other bytes are Latin-1, as the files of MovieLens-100K.
func text(field []byte) string {
	if utf8.Valid(field) {
		return string(field)
	}
	runes := make([]rune, len(field))
	for i, b := range field {
		runes[i] = rune(b)
	}
	return string(runes)
}

// often is how many lines are read between two looks at whether to go on.
const often = 1 << 16

// interrupted is the error of a context that has ended, asked of every so many lines.
func (t *table) interrupted(ctx context.Context) error {
	if t.number%often != 0 {
		return nil
	}
	return ctx.Err()
}
