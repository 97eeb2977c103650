package labelled

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/data"
)

// maxUnpacked bounds what a packed file may become, in bytes.
const maxUnpacked = 4 << 30

// form is how a file is divided into rows and columns.
type form int

const (
	tabs      form = iota // tab-separated values
	commas                // CSV
	jsonLines             // an object a line
)

// rowError is a mistake in a line of a file.
type rowError struct {
	line int
	err  error
}

func (e *rowError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// unpacked is the content of a file and its form, by its extension.
func unpacked(path string) ([]byte, form, error) {
	content, err := data.ReadFile(path)
	if err != nil {
		return nil, tabs, err
	}
	name := strings.ToLower(path)
	if inner, packed := strings.CutSuffix(name, ".gz"); packed {
		if name = inner; len(content) > 0 {
			if content, err = gunzip(content); err != nil {
				return nil, tabs, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	switch filepath.Ext(name) {
	case ".csv":
		return content, commas, nil
	case ".jsonl", ".ndjson", ".json":
		return content, jsonLines, nil
	}
	return content, tabs, nil
}

func gunzip(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("not packed by gzip, as the extension says: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("packed by gzip, and damaged: %w", err)
	}
	if len(content) > maxUnpacked {
		return nil, fmt.Errorf("unpacks to more than %d bytes", maxUnpacked)
	}
	return content, nil
}

// rows hands each row of a file to add, with the number of its line from 1; fields are overwritten by the next. Mistakes of the form are
// *rowError.
func (f form) rows(content []byte, add func(line int, fields []string) error) error {
	switch f {
	case commas:
		return csvRows(content, add)
	case jsonLines:
		return jsonRows(content, add)
	}
	return tabRows(content, add)
}

// tabRows reads the format of GLUE (Wang et al. 2019): one example a line, columns separated by tabs, no quoting (a quotation
// mark is a character like any other), line ends with or without a carriage return.
func tabRows(rest []byte, add func(line int, fields []string) error) error {
	var fields []string
	for number := 1; len(rest) > 0; number++ {
		var raw []byte
		raw, rest, _ = bytes.Cut(rest, []byte("\n"))
		line := strings.TrimSuffix(string(raw), "\r")
		if err := checkText(line); err != nil {
			return &rowError{number, err}
		}
		if number > 1 && line == "" && len(bytes.TrimSpace(rest)) == 0 {
			return nil // blank lines at the end
		}
		fields = splitTabs(fields[:0], line)
		if err := add(number, fields); err != nil {
			return err
		}
	}
	return nil
}

func checkText(line string) error {
	if at := data.InvalidUTF8(line); at >= 0 {
		return fmt.Errorf("not valid UTF-8 at byte %d of the line (0x%02x); convert the file", at+1, line[at])
	}
	return nil
}

// splitTabs appends the columns of line to fields.
func splitTabs(fields []string, line string) []string {
	for {
		field, rest, more := strings.Cut(line, "\t")
		fields = append(fields, field)
		if !more {
			return fields
		}
		line = rest
	}
}

// csvRows reads CSV by RFC 4180. What separates columns is the one of comma, semicolon and tab that the first line has most of.
func csvRows(content []byte, add func(line int, fields []string) error) error {
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	first, _, _ := bytes.Cut(content, []byte("\n"))
	for _, separator := range []rune{';', '\t'} {
		if strings.Count(string(first), string(separator)) > strings.Count(string(first), string(r.Comma)) {
			r.Comma = separator
		}
	}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if wrong := new(csv.ParseError); errors.As(err, &wrong) {
			return &rowError{wrong.StartLine, fmt.Errorf("not CSV: %w at column %d; texts with quotation marks or line ends stand in quotation marks, which are doubled inside", wrong.Err, wrong.Column)}
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		for _, field := range fields {
			if err := checkText(field); err != nil {
				return &rowError{line, err}
			}
		}
		if err := add(line, fields); err != nil {
			return err
		}
	}
}

// jsonRows reads an object a line. The keys of the first are the header; what later ones lack is empty.
func jsonRows(rest []byte, add func(line int, fields []string) error) error {
	var header, fields []string
	for number := 1; len(rest) > 0; number++ {
		var raw []byte
		raw, rest, _ = bytes.Cut(rest, []byte("\n"))
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		if err := checkText(string(raw)); err != nil {
			return &rowError{number, err}
		}
		var row map[string]json.RawMessage
		if err := json.Unmarshal(raw, &row); err != nil {
			return &rowError{number, fmt.Errorf("not a JSON object: %w; want one object a line", err)}
		}
		if header == nil {
			header = slices.Sorted(maps.Keys(row))
			if err := add(number, header); err != nil {
				return err
			}
		}
		fields = fields[:0]
		for _, key := range header {
			fields = append(fields, plainText(row[key]))
		}
		if err := add(number, fields); err != nil {
			return err
		}
	}
	return nil
}

// plainText is a JSON value as a column has it: a text without its quotation marks, nothing for null.
func plainText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text // of null, too
	}
	return string(raw)
}
