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

	"sparrow/configs"
	"sparrow/data"
)

// Read implements Source. Classes are those of the training file, unless labels has them.
func (s Table) Read(ctx context.Context, labels []string) (*Corpus, error) {
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
func (s Table) Look(ctx context.Context) (data.Survey, error) {
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

// columns are the places of columns in a row, from 0.
type columns struct {
	texts []int
	label int
	key   int      // of split_by; -1: none
	names []string // for messages, of texts
	need  int      // the fields a row must have at least
	width int      // the fields of the header, which every row must have; 0 without a header
}

// collector makes texts of the rows of a file.
type collector struct {
	table   Table
	texts   *Texts
	known   []string // names of classes that there are; nil: those that the file has
	names   []string
	ids     map[string]int32
	columns *columns
}

// readFile reads one file. Class names found in it are sorted, by value if all are whole numbers; with known ones, another
// name is an error. For regression the names are nil.
func (s Table) readFile(path string, known []string) (*Texts, []string, error) {
	content, form, err := unpacked(path)
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) {
		return nil, nil, fmt.Errorf("%w; the path is relative to the working directory", err)
	}
	if err != nil {
		return nil, nil, err
	}
	s.Header = s.Header || form == jsonLines
	c := &collector{table: s, texts: &Texts{Pairs: len(s.TextColumns) == 2}, known: known, names: slices.Clone(known), ids: map[string]int32{}}
	c.texts.Text = make([]byte, 0, len(content))
	for i, name := range known {
		c.ids[name] = int32(i)
	}
	if err := form.rows(bytes.TrimPrefix(content, []byte("\ufeff")), func(number int, fields []string) error {
		if err := c.add(fields, path); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		return nil
	}); err != nil {
		if at := new(rowError); errors.As(err, &at) {
			err = fmt.Errorf("%s:%d: %w", path, at.line, at.err)
		}
		return nil, nil, err
	}
	l, names := c.texts, c.names
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

// add takes a row, the first of which may name the columns.
func (c *collector) add(fields []string, path string) (err error) {
	s := c.table
	if c.columns == nil {
		if c.columns, err = s.findColumns(fields); err != nil || s.Header {
			return err
		}
	}
	columns := c.columns
	if n := len(fields); n < columns.need || columns.width > 0 && n != columns.width {
		if columns.width > 0 {
			return fmt.Errorf("%d columns, but the header has %d", n, columns.width)
		}
		return fmt.Errorf("%d columns, want at least %d (text_columns = %q, label_column = %q)", n, columns.need, s.TextColumns, s.LabelColumn)
	}
	for i, column := range columns.texts {
		if strings.TrimSpace(fields[column]) == "" {
			return fmt.Errorf("column %q is empty, want a text", columns.names[i])
		}
		c.texts.AddText(fields[column], path)
	}
	if columns.key >= 0 {
		c.texts.Keys = append(c.texts.Keys, fields[columns.key])
	}
	if s.Regression {
		return c.score(fields[columns.label])
	}
	return c.class(fields[columns.label])
}

// score takes the number of an example.
func (c *collector) score(label string) error {
	score, err := strconv.ParseFloat(strings.TrimSpace(label), 64)
	if err != nil || math.IsNaN(score) || math.IsInf(score, 0) {
		return fmt.Errorf("column %q is %q, want a number (regression = true)", c.table.LabelColumn, label)
	}
	c.texts.Scores = append(c.texts.Scores, score)
	return nil
}

// class takes the class of an example.
func (c *collector) class(label string) error {
	id, ok := c.ids[label]
	switch {
	case strings.TrimSpace(label) == "":
		return fmt.Errorf("column %q is empty, want a label", c.table.LabelColumn)
	case !ok && c.known != nil:
		return fmt.Errorf("label %q is none of the labels of training, %s", label, data.SomeOf(c.known))
	case !ok && len(c.names) == data.MaxLabels:
		return fmt.Errorf("label %q is the %dth in column %q; want at most %d classes (scores want regression = true)", label, data.MaxLabels+1, c.table.LabelColumn, data.MaxLabels)
	case !ok:
		id = int32(len(c.names))
		c.ids[label] = id
		c.names = append(c.names, label)
	}
	c.texts.Labels = append(c.texts.Labels, id)
	return nil
}

// findColumns finds the columns from the first line, the header if there is one.
func (s Table) findColumns(first []string) (*columns, error) {
	c := &columns{names: s.TextColumns, key: -1}
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
	if s.SplitBy != nil {
		if c.key, err = find("split_by", *s.SplitBy); err != nil {
			return nil, err
		}
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

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s Table) Validate(r *configs.Report) {
	s.check(r)
	if s.Train == "" {
		r.Errorf("train", "is empty; want a file of examples")
	}
	if s.SplitBy != nil && s.Validation != "" {
		r.Errorf("split_by", "holds out a share of train, but validation = %q is a file of its own", s.Validation)
	}
	if s.SplitBy != nil && *s.SplitBy == "" {
		r.Errorf("split_by", "is empty; want a column")
	}
	if n := len(s.TextColumns); n != 1 && n != 2 {
		r.Errorf("text_columns", "has %d columns; want 1, or 2 for pairs", n)
	}
	if s.LabelColumn == "" {
		r.Errorf("label_column", "is empty; want the column of the classes or scores")
	}
	seen := map[string]bool{}
	for _, column := range append([]string{s.LabelColumn}, s.TextColumns...) {
		key := "text_columns"
		if len(seen) == 0 {
			key = "label_column"
		}
		n, err := strconv.Atoi(column)
		switch {
		case seen[column]:
			r.Errorf(key, "has column %q twice, or it is the label as well", column)
		case column == "" && key == "text_columns":
			r.Errorf(key, "has an empty name")
		case err != nil && !s.Header && column != "":
			r.Errorf(key, "has the name %q, but header = false; want numbers from 1", column)
		case err == nil && n < 1 && !s.Header:
			r.Errorf(key, "has column %d; columns are numbered from 1", n)
		}
		seen[column] = true
	}
}
