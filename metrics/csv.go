package metrics

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// csvColumns is the header of every metrics.csv: first what identifies a record, then what every run measures. A name
// outside the list gets a column of its own behind them when it first appears.
var csvColumns = []string{"step", "kind", "loss", "validation_loss", "perplexity",
	"learning_rate", "grad_norm", "tokens", "tokens_per_second"}

// csvFile is a table by RFC 4180 with a header line, one record a line and blank cells for what the record lacks.
// Lines end in a line feed alone, as Unix tools want them. It holds no wall-clock time, so equal runs write equal
// files, tokens_per_second or examples_per_second apart.
type csvFile struct {
	f      *os.File
	header []string
}

func openCSV(path string, resumeStep int) (*csvFile, error) {
	c := &csvFile{}
	f, err := openRecords(path, resumeStep, func(line []byte) (int, error) {
		if c.header == nil {
			header, err := parseHeader(line)
			c.header = header
			return -1, err
		}
		r, err := parseRow(c.header, line)
		return r.Step, err
	})
	if err != nil {
		return nil, err
	}
	c.f = f
	if c.header == nil {
		c.header = slices.Clone(csvColumns)
		if err := c.writeRow(c.header); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return c, nil
}

func (c *csvFile) Write(r Record) error {
	row := []string{strconv.Itoa(r.Step), r.Kind}
	row = append(row, make([]string, len(c.header)-len(row))...)
	var added []string
	for _, v := range r.Values {
		if at := slices.Index(c.header, v.Name); at >= 0 {
			row[at] = formatNumber(v.X)
			continue
		}
		added = append(added, v.Name)
		row = append(row, formatNumber(v.X))
	}
	if added != nil {
		if err := c.addColumns(added); err != nil {
			return err
		}
	}
	return c.writeRow(row)
}

// writeRow writes a whole line at once: a kill can cut the last line short, but never mix two.
func (c *csvFile) writeRow(row []string) error {
	_, err := c.f.Write(encodeRow(row))
	return err
}

func encodeRow(row []string) []byte {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write(row) // a buffer takes everything
	w.Flush()
	return line.Bytes()
}

// addColumns rewrites the file with more columns, blank so far. The header stands once, so appending cannot do it.
func (c *csvFile) addColumns(names []string) error {
	path := c.f.Name()
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	header := append(slices.Clone(c.header), names...)
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var out bytes.Buffer
	out.Write(encodeRow(header))
	for _, row := range rows[1:] {
		out.Write(encodeRow(append(row, make([]string, len(names))...)))
	}
	// Closed first, because Windows does not replace an open file; opened again even when the rewrite failed, so that
	// Close has a file to close.
	closeErr := c.f.Close()
	writeErr := WriteFile(path, out.Bytes())
	f, openErr := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o644)
	if err := errors.Join(closeErr, writeErr, openErr); err != nil {
		return err
	}
	c.f, c.header = f, header
	return nil
}

func (c *csvFile) Close() error { return closeFile(c.f) }

// Read reads a metrics.csv back: its records in order, each with the values it has, in the order of the
// columns. A last line that a kill cut short is left out; a line of another form is an error that names the file
// and the line.
func Read(path string) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer f.Close()
	var header []string
	var records []Record
	err = eachLine(f, func(line []byte, _ int64) (bool, error) {
		if header == nil {
			header, err = parseHeader(line)
			return true, err
		}
		r, err := parseRow(header, line)
		records = append(records, r)
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return records, nil
}

func parseHeader(line []byte) ([]string, error) {
	header, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil || len(header) < 2 || header[0] != "step" || header[1] != "kind" {
		return nil, fmt.Errorf("the header is %.60q; want one that begins with step,kind", line)
	}
	return header, nil
}

func parseRow(header []string, line []byte) (Record, error) {
	row, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil || len(row) != len(header) {
		return Record{}, fmt.Errorf("the row is %.60q; want the header's %d cells", line, len(header))
	}
	step, err := strconv.Atoi(row[0])
	if err != nil || step < 0 {
		return Record{}, fmt.Errorf("the step is %q; want a whole number", row[0])
	}
	r := Record{Step: step, Kind: row[1]}
	for i := 2; i < len(row); i++ {
		if row[i] == "" {
			continue
		}
		x, err := strconv.ParseFloat(row[i], 64)
		if err != nil {
			return Record{}, fmt.Errorf("%s is %q; want a number", header[i], row[i])
		}
		r.Values = append(r.Values, Value{header[i], x})
	}
	return r, nil
}

// WriteFile replaces a file in one step: a reader, or a kill, finds the old content or the new, never half of it.
func WriteFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644) // CreateTemp makes it private, a result is for everyone
	}
	err = errors.Join(err, closeFile(tmp))
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(tmp.Name()))
	}
	return nil
}
