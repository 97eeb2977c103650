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

// openTSV reads the files of source "tsv". Classes are those of the training file, unless labels has them.
//
// The format is that of GLUE (Wang et al. 2019): one example a line, columns separated by tabs, no quoting (a quotation
// mark is a character like any other), line ends with or without a carriage return.
func openTSV(ctx context.Context, cfg Config, labels []string) (*labelledCorpus, error) {
	c := &labelledCorpus{labels: labels}
	for _, file := range []struct {
		key, path string
		into      **labelledTexts
	}{{"train", cfg.Train, &c.train}, {"validation", cfg.Validation, &c.validation}, {"test", cfg.Test, &c.test}} {
		if file.path == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		texts, found, err := readTSV(file.path, cfg, c.labels)
		if err != nil {
			return nil, fmt.Errorf("data: %s: %w", file.key, err)
		}
		*file.into = texts.capExamples(cfg.MaxExamples)
		c.labels = found
		c.files++
	}
	return c, nil
}

// tsvColumns are the places of columns in a line, from 0.
type tsvColumns struct {
	texts []int
	label int
	names []string // for messages, of texts
	need  int      // the fields a line must have at least
	width int      // the fields of the header, which every line must have; 0 without a header
}

// readTSV reads one file. Class names found in it are sorted, by value if all are whole numbers; with known ones, another
// name is an error. For regression the names are nil.
func readTSV(path string, cfg Config, known []string) (*labelledTexts, []string, error) {
	content, err := data.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) {
		return nil, nil, fmt.Errorf("%w; the path is relative to the working directory", err)
	}
	if err != nil {
		return nil, nil, err
	}
	l := &labelledTexts{pairs: len(cfg.TextColumns) == 2}
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
			if columns, err = findColumns(fields, cfg); err != nil {
				return nil, nil, fail("%v", err)
			}
			if cfg.Header {
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
			return nil, nil, fail("%d columns, want at least %d (text_columns = %q, label_column = %q)", n, columns.need, cfg.TextColumns, cfg.LabelColumn)
		}
		for i, column := range columns.texts {
			if strings.TrimSpace(fields[column]) == "" {
				return nil, nil, fail("column %q is empty, want a text", columns.names[i])
			}
			l.addText(fields[column], path)
		}
		label := fields[columns.label]
		if cfg.Regression {
			score, err := strconv.ParseFloat(strings.TrimSpace(label), 64)
			if err != nil || math.IsNaN(score) || math.IsInf(score, 0) {
				return nil, nil, fail("column %q is %q, want a number (regression = true)", cfg.LabelColumn, label)
			}
			l.scores = append(l.scores, score)
			continue
		}
		id, ok := ids[label]
		switch {
		case strings.TrimSpace(label) == "":
			return nil, nil, fail("column %q is empty, want a label", cfg.LabelColumn)
		case !ok && known != nil:
			return nil, nil, fail("label %q is none of the labels of training, %s", label, data.SomeOf(known))
		case !ok && len(names) == data.MaxLabels:
			return nil, nil, fail("label %q is the %dth in column %q; want at most %d classes (scores want regression = true)", label, data.MaxLabels+1, cfg.LabelColumn, data.MaxLabels)
		case !ok:
			id = int32(len(names))
			ids[label] = id
			names = append(names, label)
		}
		l.labels = append(l.labels, id)
	}
	switch {
	case l.len() == 0 && cfg.Header:
		return nil, nil, fmt.Errorf("%s: no line after the header, want examples", path)
	case l.len() == 0:
		return nil, nil, fmt.Errorf("%s: the file is empty, want examples", path)
	case cfg.Regression:
		return l, nil, nil
	case known != nil:
		return l, known, nil
	case len(names) == 1:
		return nil, nil, fmt.Errorf("%s: column %q has only the label %q, want at least two classes", path, cfg.LabelColumn, names[0])
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

// findColumns finds the columns of cfg from the first line, the header if there is one.
func findColumns(first []string, cfg Config) (*tsvColumns, error) {
	c := &tsvColumns{names: cfg.TextColumns}
	find := func(key, name string) (int, error) {
		place := -1
		if cfg.Header {
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
	if c.label, err = find("label_column", cfg.LabelColumn); err != nil {
		return nil, err
	}
	for _, name := range cfg.TextColumns {
		place, err := find("text_columns", name)
		if err != nil {
			return nil, err
		}
		if place == c.label || slices.Contains(c.texts, place) {
			return nil, fmt.Errorf("text_columns = %q and label_column = %q name column %d twice", cfg.TextColumns, cfg.LabelColumn, place+1)
		}
		c.texts = append(c.texts, place)
	}
	return c, nil
}

// sortLabels gives the classes their ids in sorted order and returns the names in that order.
func (l *labelledTexts) sortLabels(names []string) []string {
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
	for i, id := range l.labels {
		l.labels[i] = place[id]
	}
	return sorted
}
