package metrics

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The two kinds of record: what a training step measured, and what an evaluation measured.
const (
	KindTrain = "train"
	KindEval  = "eval"
)

// Value is one named measurement. Names are snake_case; those that every run writes are loss (nats a token, or an
// example), validation_loss, perplexity, learning_rate, grad_norm, tokens (seen so far) and tokens_per_second.
type Value struct {
	Name string
	X    float64
}

// Record is what one step measured, in the order in which it is to be read.
type Record struct {
	Step   int    // updates done so far: 1 after the first step, 0 for an evaluation before it
	Kind   string // KindTrain or KindEval
	Values []Value
}

// Value returns the measurement of that name, and whether the record has it.
func (r Record) Value(name string) (float64, bool) {
	for _, v := range r.Values {
		if v.Name == name {
			return v.X, true
		}
	}
	return 0, false
}

func (r Record) validate(lastStep int) error {
	if r.Kind != KindTrain && r.Kind != KindEval {
		return fmt.Errorf("kind is %q; want %s or %s", r.Kind, KindTrain, KindEval)
	}
	// Resuming cuts the files after a step, which needs steps in order.
	if r.Step < 0 || r.Step < lastStep {
		return fmt.Errorf("it follows step %d; want steps that never go back", lastStep)
	}
	for i, v := range r.Values {
		if !validName(v.Name) {
			return fmt.Errorf("value name %q; want lower-case letters, digits and _, and not step, kind or time", v.Name)
		}
		for _, earlier := range r.Values[:i] {
			if earlier.Name == v.Name {
				return fmt.Errorf("value %q is given twice", v.Name)
			}
		}
	}
	return nil
}

// validName keeps names safe as a CSV column, a JSON key and a TensorBoard tag without any quoting.
func validName(name string) bool {
	if name == "" || name == "step" || name == "kind" || name == "time" {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_@/") == ""
}

// Sink takes the records of a run, steps never going back.
type Sink interface {
	Write(Record) error
	Close() error
}

// Files writes each record to metrics.csv, log.jsonl and a TensorBoard event file of one run directory. Nothing is
// buffered: a record that Write accepted survives a kill of the process.
type Files struct {
	sinks    []Sink
	lastStep int
	err      error // the first failure: a file may end in half a record, so nothing may follow it
}

// Open opens the three files of dir, which must exist. With resumeStep 0 they start empty. With resumeStep
// s they keep their records up to and including step s; later ones, and a last line that a kill cut short, are
// dropped, so that the files end up as those of a run that was never interrupted. A file that cannot be opened, or
// holds something other than such records, is an error that names it and the line.
func Open(dir string, resumeStep int) (*Files, error) {
	return open(dir, resumeStep, time.Now)
}

func open(dir string, resumeStep int, now func() time.Time) (_ *Files, err error) {
	m := &Files{lastStep: resumeStep}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("metrics: %w", err), m.Close())
		}
	}()
	// One after the other: a sink that was not opened must not enter the list as a typed nil.
	csvFile, err := openCSV(filepath.Join(dir, "metrics.csv"), resumeStep)
	if err != nil {
		return nil, err
	}
	m.sinks = append(m.sinks, csvFile)
	jsonlFile, err := openJSONL(filepath.Join(dir, "log.jsonl"), resumeStep, now)
	if err != nil {
		return nil, err
	}
	m.sinks = append(m.sinks, jsonlFile)
	board, err := openTensorBoard(dir, resumeStep, now)
	if err != nil {
		return nil, err
	}
	m.sinks = append(m.sinks, board)
	return m, nil
}

// Write appends the record to every file. After the first error, a full disk for example, each call returns that error.
func (m *Files) Write(r Record) error {
	if m.err != nil {
		return m.err
	}
	if err := r.validate(m.lastStep); err != nil {
		return fmt.Errorf("metrics: %s record of step %d: %w", r.Kind, r.Step, err)
	}
	m.lastStep = r.Step
	for _, sink := range m.sinks {
		if err := sink.Write(r); err != nil {
			m.err = fmt.Errorf("metrics: %w", err)
			return m.err
		}
	}
	return nil
}

// Close flushes the files to the disk and closes them. Closing twice is harmless.
func (m *Files) Close() error {
	var errs []error
	for _, sink := range m.sinks {
		if err := sink.Close(); err != nil {
			errs = append(errs, fmt.Errorf("metrics: %w", err))
		}
	}
	m.sinks = nil
	return errors.Join(errs...)
}

// openRecords opens a file of one record a line for appending, cut after the last record of resumeStep or earlier.
// stepOf reads the step of a complete line, -1 for a header.
func openRecords(path string, resumeStep int, stepOf func(line []byte) (int, error)) (*os.File, error) {
	flags := os.O_CREATE | os.O_RDWR | os.O_APPEND
	if resumeStep <= 0 {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	if resumeStep <= 0 {
		return f, nil
	}
	keep := int64(0)
	err = eachLine(f, func(line []byte, end int64) (bool, error) {
		step, err := stepOf(line)
		if err != nil || step > resumeStep {
			return false, err
		}
		keep = end
		return true, nil
	})
	if err == nil {
		err = f.Truncate(keep)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// eachLine calls visit with every complete line of f, without its line feed, and the offset after it, until visit
// returns false. A last line without a line feed is what a kill leaves of a write: it is no record. Errors name the file
// and the line.
func eachLine(f *os.File, visit func(line []byte, end int64) (bool, error)) error {
	in := bufio.NewReader(f)
	end := int64(0)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		end += int64(len(line))
		more, err := visit(bytes.TrimRight(line, "\r\n"), end)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", f.Name(), number, err)
		}
		if !more {
			return nil
		}
	}
}

// closeFile flushes f to the disk first, because some file systems report a full disk only then.
func closeFile(f *os.File) error {
	err := f.Sync()
	// Pipes and character devices have nothing to flush and say so.
	if info, statErr := f.Stat(); statErr == nil && !info.Mode().IsRegular() {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// formatNumber writes the shortest decimal that reads back as x, in JSON's notation; NaN and the infinities by the
// names that Go, Python and protobuf's JSON read.
func formatNumber(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	format := byte('f')
	if abs := math.Abs(x); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.FormatFloat(x, format, -1, 64)
}
