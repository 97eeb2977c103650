package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"sparrow/checkpoints"
	"sparrow/checkpoints/foreign"
)

// WriteFile writes a GGUF file of version 3, atomically, with the metadata and the tensors in the order given. The values
// of one tensor at a time are asked for and rounded to its type.
func WriteFile(path string, metadata Metadata, tensors []foreign.Source) error {
	return checkpoints.StreamFileAtomic(path, func(w io.Writer) error { return Write(w, metadata, tensors) })
}

// maxName is llama.cpp's own limit.
const maxName = 63

// Write is [WriteFile] for any writer.
func Write(w io.Writer, metadata Metadata, tensors []foreign.Source) error {
	alignment, err := metadata.alignment()
	if err != nil {
		return err
	}
	head, sizes, err := head(metadata, tensors, alignment)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	pad := make([]byte, alignment)
	if _, err := out.Write(head); err != nil {
		return err
	}
	if _, err := out.Write(pad[:padded(len(head), alignment)-len(head)]); err != nil {
		return err
	}
	for i, t := range tensors {
		if _, err := t.WriteTo(out); err != nil {
			return err
		}
		if _, err := out.Write(pad[:padded(sizes[i], alignment)-sizes[i]]); err != nil {
			return err
		}
	}
	return out.Flush()
}

var le = binary.LittleEndian

func head(metadata Metadata, tensors []foreign.Source, alignment int) (b []byte, sizes []int, err error) {
	b = append(b, "GGUF"...)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(metadata)))
	seen := map[string]bool{}
	for _, p := range metadata {
		if p.Key == "" || len(p.Key) > maxKey || seen[p.Key] {
			return nil, nil, fmt.Errorf("metadata key %s is empty, longer than %d bytes or there twice", foreign.Quote(p.Key), maxKey)
		}
		seen[p.Key] = true
		b = appendText(b, p.Key)
		if b, err = appendValue(b, p.Value); err != nil {
			return nil, nil, fmt.Errorf("metadata %s: %w", foreign.Quote(p.Key), err)
		}
	}
	clear(seen)
	offset := 0
	for _, t := range tensors {
		size, err := t.Check()
		number, known := numberOf(t.Type)
		switch {
		case err != nil:
			return nil, nil, err
		case seen[t.Name]:
			return nil, nil, fmt.Errorf("two tensors have the name %s", foreign.Quote(t.Name))
		case len(t.Name) > maxName:
			return nil, nil, fmt.Errorf("tensor %s: the name has %d bytes; llama.cpp allows %d", foreign.Quote(t.Name), len(t.Name), maxName)
		case len(t.Shape) > maxDims:
			return nil, nil, fmt.Errorf("tensor %s has %d dimensions; GGUF allows %d", foreign.Quote(t.Name), len(t.Shape), maxDims)
		case !known:
			return nil, nil, fmt.Errorf("tensor %s: GGUF has no type %s", foreign.Quote(t.Name), t.Type.Name)
		}
		seen[t.Name] = true
		b = appendText(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			b = le.AppendUint64(b, uint64(t.Shape[i]))
		}
		b = le.AppendUint32(b, number)
		b = le.AppendUint64(b, uint64(offset))
		offset += padded(size, alignment)
		sizes = append(sizes, size)
	}
	return b, sizes, nil
}

func appendText(b []byte, text string) []byte {
	return append(le.AppendUint64(b, uint64(len(text))), text...)
}

// appendValue appends a value's kind and the value.
func appendValue(b []byte, value any) ([]byte, error) {
	if kind, bytes := scalar(value); bytes != nil {
		return append(le.AppendUint32(b, kind), bytes...), nil
	}
	return appendArray(le.AppendUint32(b, kindArray), value, 1)
}

// scalar is a value's kind and bytes; nil if it is none.
func scalar(value any) (kind uint32, b []byte) {
	switch v := value.(type) {
	case uint8:
		return kindUint8, []byte{v}
	case int8:
		return kindInt8, []byte{byte(v)}
	case uint16:
		return kindUint16, le.AppendUint16(nil, v)
	case int16:
		return kindInt16, le.AppendUint16(nil, uint16(v))
	case uint32:
		return kindUint32, le.AppendUint32(nil, v)
	case int32:
		return kindInt32, le.AppendUint32(nil, uint32(v))
	case uint64:
		return kindUint64, le.AppendUint64(nil, v)
	case int64:
		return kindInt64, le.AppendUint64(nil, uint64(v))
	case float32:
		return kindFloat32, le.AppendUint32(nil, math.Float32bits(v))
	case float64:
		return kindFloat64, le.AppendUint64(nil, math.Float64bits(v))
	case bool:
		if v {
			return kindBool, []byte{1}
		}
		return kindBool, []byte{0}
	case string:
		return kindString, appendText(nil, v)
	}
	return 0, nil
}

func appendArray(b []byte, value any, depth int) ([]byte, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("arrays are nested deeper than %d", maxNesting)
	}
	switch v := value.(type) {
	case []uint8:
		return appendSlice(b, v), nil
	case []int8:
		return appendSlice(b, v), nil
	case []uint16:
		return appendSlice(b, v), nil
	case []int16:
		return appendSlice(b, v), nil
	case []uint32:
		return appendSlice(b, v), nil
	case []int32:
		return appendSlice(b, v), nil
	case []uint64:
		return appendSlice(b, v), nil
	case []int64:
		return appendSlice(b, v), nil
	case []float32:
		return appendSlice(b, v), nil
	case []float64:
		return appendSlice(b, v), nil
	case []bool:
		return appendSlice(b, v), nil
	case []string:
		return appendSlice(b, v), nil
	case []any:
		b = le.AppendUint64(le.AppendUint32(b, kindArray), uint64(len(v)))
		var err error
		for _, inner := range v {
			if b, err = appendArray(b, inner, depth+1); err != nil {
				return nil, err
			}
		}
		return b, nil
	case nil:
		return nil, errors.New("there is no value")
	}
	return nil, fmt.Errorf("a value of type %T cannot be written", value)
}

// appendSlice appends an array: the kind of its elements, their number and they themselves.
func appendSlice[T any](b []byte, values []T) []byte {
	var zero T
	kind, _ := scalar(zero)
	b = le.AppendUint64(le.AppendUint32(b, kind), uint64(len(values)))
	for _, v := range values {
		_, bytes := scalar(v)
		b = append(b, bytes...)
	}
	return b
}
