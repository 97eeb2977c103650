package labelled

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sparrow/data"
)

// Read implements Source. Classes are those of the training file, unless labels has them.
//
// The format is that of GLUE (Wang et al. 2019): one example a line, columns separated by tabs, no quoting (a quotation
// mark is a character like any other), line ends with or without a carriage return.
func (s TSV) Read(ctx context.Context, labels []string) (*Corpus, error) {
	c := &Corpus{Labels: labels}
	for _, file := range []struct {
		key, path string
		into      **Texts
	}{{"train", s.Train, &c.Train}, {"validation", s.Validation, &c.Validation}, {"test", s.Test, &c.Test}} {
		if file.path == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		texts, found, err := s.readFile(file.path, c.Labels)
		if err != nil {
			return nil, fmt.Errorf("data: %s: %w", file.key, err)
		}
		*file.into = texts.capExamples(s.MaxExamples)
		c.Labels = found
		c.Files++
	}
	return c, nil
}

// Look implements Source: the files are read, for their labels.
func (s TSV) Look(ctx context.Context) (data.Survey, error) {
	c, err := s.Read(ctx, nil)
	if err != nil {
		return data.Survey{}, err
	}
	found := data.Survey{Files: c.Files, Labels: c.Labels, Pairs: c.Train.Pairs}
	for _, l := range []*Texts{c.Train, c.Validation, c.Test} {
		if l != nil {
			found.Bytes += int64(len(l.Text) - len(l.List))
		}
	}
	return found, nil
}

// tsvColumns are the places of columns in a line, from 0.
type tsvColumns struct {
	texts []int
	label int
	names []string // for messages, of texts
	need  int      // the fields a line must have at least
	width int      // the fields of the header, which every line must have; 0 without a header
}

// readFile reads one file. Class names found in it are sorted, by value if all are whole numbers; with known ones, another
// name is an error. For regression the names are nil.
func (s TSV) readFile(path string, known []string) (*Texts, []string, error) {
	content, err := data.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) {
		return nil, nil, fmt.Errorf("%w; the path is relative to the working directory", err)
	}
	if err != nil {
		return nil, nil, err
	}
	l := &Texts{Pairs: len(s.TextColumns) == 2}
	l.Text = make([]byte, 0, len(content))
	ids, names := map[string]int32{}, slices.Clone(known)
	for i, name := range known {
		ids[name] = int32(i)
	}
	var columns *tsvColumns
	var fields []string
	rest := bytes.TrimPrefix(content, []byte("\ufeff"))
	for number := 1; len(rest) > 0; number++ {
		var raw []byte
		raw, rest, _ = bytes.Cut(rest, []byte("\n"))
		fail := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: %s", path, number, fmt.Sprintf(format, args...))
		}
		line := strings.TrimSuffix(string(raw), "\r")
		if at := data.InvalidUTF8(line); at >= 0 {
			return nil, nil, fail("not valid UTF-8 at byte %d of the line (0x%02x); convert the file", at+1, line[at])
		}
		fields = splitTabs(fields[:0], line)
		if columns == nil {
			if columns, err = s.findColumns(fields); err != nil {
				return nil, nil, fail("%v", err)
			}
			if s.Header {
				continue
			}
		}
		if line == "" && len(bytes.TrimSpace(rest)) == 0 {
			break // blank lines at the end
		}
		if n := len(fields); n < columns.need || columns.width > 0 && n != columns.width {
			if columns.width > 0 {
				return nil, nil, fail("%d columns, but the header has %d", n, columns.width)
			}
			return nil, nil, fail("%d columns, want at least %d (text_columns = %q, label_column = %q)", n, columns.need, s.TextColumns, s.LabelColumn)
		}
		for i, column := range columns.texts {
			if strings.TrimSpace(fields[column]) == "" {
				return nil, nil, fail("column %q is empty, want a text", columns.names[i])
			}
			l.AddText(fields[column], path)
		}
		label := fields[columns.label]
		if s.Regression {
			score, err := strconv.ParseFloat(strings.TrimSpace(label), 64)
			if err != nil || math.IsNaN(score) || math.IsInf(score, 0) {
				return nil, nil, fail("column %q is %q, want a number (regression = true)", s.LabelColumn, label)
			}
			l.Scores = append(l.Scores, score)
			continue
		}
		id, ok := ids[label]
		switch {
		case strings.TrimSpace(label) == "":
			return nil, nil, fail("column %q is empty, want a label", s.LabelColumn)
		case !ok && known != nil:
			return nil, nil, fail("label %q is none of the labels of training, %s", label, data.SomeOf(known))
		case !ok && len(names) == data.MaxLabels:
			return nil, nil, fail("label %q is the %dth in column %q; want at most %d classes (scores want regression = true)", label, data.MaxLabels+1, s.LabelColumn, data.MaxLabels)
		case !ok:
			id = int32(len(names))
			ids[label] = id
			names = append(names, label)
		}
		l.Labels = append(l.Labels, id)
	}
	switch {
	case l.len() == 0 && s.Header:
		return nil, nil, fmt.Errorf("%s: no line after the header, want examples", path)
	case l.len() == 0:
		return nil, nil, fmt.Errorf("%s: the file is empty, want examples", path)
	case s.Regression:
		return l, nil, nil
	case known != nil:
		return l, known, nil
	case len(names) == 1:
		return nil, nil, fmt.Errorf("%s: column %q has only the label %q, want at least two classes", path, s.LabelColumn, names[0])
	}
	return l, l.sortLabels(names), nil
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

// findColumns finds the columns from the first line, the header if there is one.
func (s TSV) findColumns(first []string) (*tsvColumns, error) {
	c := &tsvColumns{names: s.TextColumns}
	find := func(key, name string) (int, error) {
		place := -1
		if s.Header {
			c.width = len(first)
			if place = slices.Index(first, name); place >= 0 && slices.Contains(first[place+1:], name) {
				return 0, fmt.Errorf("%s = %q is in the header twice; want its number", key, name)
			}
		}
		if place < 0 {
			number, err := strconv.Atoi(name)
			switch {
			case err != nil:
				return 0, fmt.Errorf("%s = %q is not in the header; want one of %s, or a number from 1 to %d", key, name, data.SomeOf(first), len(first))
			case number < 1 || number > len(first):
				return 0, fmt.Errorf("%s = %q, but the line has %d columns", key, name, len(first))
			}
			place = number - 1
		}
		c.need = max(c.need, place+1)
		return place, nil
	}
	var err error
	if c.label, err = find("label_column", s.LabelColumn); err != nil {
		return nil, err
	}
	for _, name := range s.TextColumns {
		place, err := find("text_columns", name)
		if err != nil {
			return nil, err
		}
		if place == c.label || slices.Contains(c.texts, place) {
			return nil, fmt.Errorf("text_columns = %q and label_column = %q name column %d twice", s.TextColumns, s.LabelColumn, place+1)
		}
		c.texts = append(c.texts, place)
	}
	return c, nil
}

// sortLabels gives the classes their ids in sorted order and returns the names in that order.
func (l *Texts) sortLabels(names []string) []string {
	sorted := slices.Clone(names)
	whole := !slices.ContainsFunc(sorted, func(name string) bool { _, err := strconv.Atoi(name); return err != nil })
	slices.SortFunc(sorted, func(a, b string) int {
		if whole {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
		}
		return cmp.Compare(a, b)
	})
	place := make([]int32, len(names))
	for id, name := range names {
		place[id] = int32(slices.Index(sorted, name))
	}
	for i, id := range l.Labels {
		l.Labels[i] = place[id]
	}
	return sorted
}
