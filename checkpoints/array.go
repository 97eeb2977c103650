package checkpoints

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Array is a named array of any number of dimensions, row-major.
type Array struct {
	Name  string
	Shape []int // empty for a scalar; any dimension may be 0
	Data  any   // []float32, []float64, []int32, []int64 or []uint8, of as many elements as Shape has
}

// dtype is one of the element types, under the names of numpy.
type dtype struct {
	name  string // in the manifest
	descr string // in the npy header
	size  int    // bytes
}

var dtypes = []dtype{
	{"float32", "<f4", 4},
	{"float64", "<f8", 8},
	{"int32", "<i4", 4},
	{"int64", "<i8", 8},
	{"uint8", "|u1", 1},
}

func dtypeNamed(name string) (dtype, bool) {
	for _, dt := range dtypes {
		if dt.name == name {
			return dt, true
		}
	}
	return dtype{}, false
}

// typeOf returns the element type and the length of an Array's Data.
func typeOf(data any) (dt dtype, n int, ok bool) {
	name := ""
	switch d := data.(type) {
	case []float32:
		name, n = "float32", len(d)
	case []float64:
		name, n = "float64", len(d)
	case []int32:
		name, n = "int32", len(d)
	case []int64:
		name, n = "int64", len(d)
	case []uint8:
		name, n = "uint8", len(d)
	}
	dt, ok = dtypeNamed(name)
	return dt, n, ok
}

// newData allocates an Array's Data.
func newData(dt dtype, n int) any {
	switch dt.name {
	case "float32":
		return make([]float32, n)
	case "float64":
		return make([]float64, n)
	case "int32":
		return make([]int32, n)
	case "int64":
		return make([]int64, n)
	}
	return make([]uint8, n)
}

// maxDims is numpy's own limit (before version 2).
const maxDims = 32

// elements returns how many elements a shape has, and an error for a shape that no file can hold.
func elements(shape []int, elementSize int) (int, error) {
	if len(shape) > maxDims {
		return 0, fmt.Errorf("has %d dimensions; want at most %d", len(shape), maxDims)
	}
	n := 1
	for _, dim := range shape {
		if dim < 0 {
			return 0, fmt.Errorf("has shape %v; want no negative dimension", shape)
		}
		if dim != 0 && n > math.MaxInt/elementSize/dim {
			return 0, fmt.Errorf("has shape %v, which is more than memory can address", shape)
		}
		n *= dim
	}
	return n, nil
}

// checkArray returns the element type of an array that can be written.
func checkArray(a Array) (dtype, error) {
	if err := checkArrayName(a.Name); err != nil {
		return dtype{}, err
	}
	dt, got, ok := typeOf(a.Data)
	if !ok {
		return dtype{}, fmt.Errorf("array %q has data %T; want []float32, []float64, []int32, []int64 or []uint8", a.Name, a.Data)
	}
	want, err := elements(a.Shape, dt.size)
	if err != nil {
		return dtype{}, fmt.Errorf("array %q %w", a.Name, err)
	}
	if got != want {
		return dtype{}, fmt.Errorf("array %q has %d elements; want %d for shape %v", a.Name, got, want, a.Shape)
	}
	return dt, nil
}

// checkArrayName refuses names that would not come back from a zip file or from numpy.
func checkArrayName(name string) error {
	if name == "" || !utf8.ValidString(name) || len(name) > 1000 || strings.Contains(name, `\`) ||
		strings.HasPrefix(name, "/") || strings.HasSuffix(name, ".npy") || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf(`array name %q is not usable; want printable text without "\", no leading "/", no ending ".npy"`, name)
	}
	return nil
}

// writeData streams an array's elements, little-endian, through buf.
func writeData(w io.Writer, data any, buf []byte) error {
	le := binary.LittleEndian
	switch d := data.(type) {
	case []float32:
		return stream(w, d, 4, buf, func(b []byte, v float32) { le.PutUint32(b, math.Float32bits(v)) })
	case []float64:
		return stream(w, d, 8, buf, func(b []byte, v float64) { le.PutUint64(b, math.Float64bits(v)) })
	case []int32:
		return stream(w, d, 4, buf, func(b []byte, v int32) { le.PutUint32(b, uint32(v)) })
	case []int64:
		return stream(w, d, 8, buf, func(b []byte, v int64) { le.PutUint64(b, uint64(v)) })
	}
	_, err := w.Write(data.([]uint8))
	return err
}

func stream[T any](w io.Writer, data []T, size int, buf []byte, put func([]byte, T)) error {
	for len(data) > 0 {
		n := min(len(data), len(buf)/size)
		for i, v := range data[:n] {
			put(buf[i*size:i*size+size], v)
		}
		if _, err := w.Write(buf[:n*size]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// readData is writeData's inverse: it fills data, whose length is known to be that of the file, straight from r.
func readData(r io.Reader, data any, buf []byte) error {
	le := binary.LittleEndian
	switch d := data.(type) {
	case []float32:
		return fill(r, d, 4, buf, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case []float64:
		return fill(r, d, 8, buf, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case []int32:
		return fill(r, d, 4, buf, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case []int64:
		return fill(r, d, 8, buf, func(b []byte) int64 { return int64(le.Uint64(b)) })
	}
	_, err := io.ReadFull(r, data.([]uint8))
	return err
}

func fill[T any](r io.Reader, data []T, size int, buf []byte, get func([]byte) T) error {
	for len(data) > 0 {
		n := min(len(data), len(buf)/size)
		if _, err := io.ReadFull(r, buf[:n*size]); err != nil {
			return err
		}
		for i := range data[:n] {
			data[i] = get(buf[i*size : i*size+size])
		}
		data = data[n:]
	}
	return nil
}
