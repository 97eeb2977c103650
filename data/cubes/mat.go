package cubes

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Array is a real numeric array of a MAT file. Its values are in MATLAB's order: the first index runs fastest.
type Array struct {
	Name string
	Dims []int
	Data []float64
}

// Types of elements and classes of arrays ("MAT-File Format", MathWorks, tables 1-1 and 1-3).
const (
	miInt8, miUint8, miInt16, miUint16, miInt32, miUint32 = 1, 2, 3, 4, 5, 6
	miSingle, miDouble, miInt64, miUint64                 = 7, 9, 12, 13
	miMatrix, miCompressed                                = 14, 15

	classDouble, classUint64 = 6, 15 // numeric classes are from one to the other
	complexFlag              = 0x08
)

// sizes are the bytes of a value of each numeric type.
var sizes = map[uint32]int{miInt8: 1, miUint8: 1, miInt16: 2, miUint16: 2, miInt32: 4, miUint32: 4, miSingle: 4, miDouble: 8, miInt64: 8, miUint64: 8}

// ReadMAT reads the real numeric arrays of a MAT file of version 5 (MATLAB's -v6 and -v7), compressed or not, of either byte order.
// What else such a file may hold is passed over.
func ReadMAT(r io.Reader) ([]Array, error) {
	in := &matReader{r: bufio.NewReaderSize(r, 1<<16), where: "byte", end: math.MaxInt64}
	var head [128]byte
	if err := in.full(head[:]); err != nil {
		return nil, fmt.Errorf("%w: not a MAT file: %w", ErrFile, err)
	}
	switch {
	case strings.Contains(string(head[:116]), "MATLAB 7.3") || string(head[1:4]) == "HDF":
		return nil, fmt.Errorf("%w: MAT file of version 7.3 (HDF5); want version 5: save it in MATLAB with save(..., '-v7')", ErrFile)
	case string(head[126:128]) == "IM":
		in.order = binary.LittleEndian
	case string(head[126:128]) == "MI":
		in.order = binary.BigEndian
	default:
		return nil, fmt.Errorf("%w: bytes 126 and 127 are %q, want IM or MI: not a MAT file of version 5", ErrFile, head[126:128])
	}
	var arrays []Array
	left := maxValues
	for {
		if _, err := in.r.Peek(1); errors.Is(err, io.EOF) {
			return arrays, nil
		}
		a, err := in.variable(&left)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFile, err)
		}
		if a != nil {
			arrays = append(arrays, *a)
		}
	}
}

// matReader reads one stream and knows where it is.
type matReader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	where string // names positions
	at    int64
	end   int64 // of the element
}

// full fills b.
func (m *matReader) full(b []byte) error {
	if int64(len(b)) > m.end-m.at {
		return fmt.Errorf("%s %d: %d bytes are wanted and the element has %d left", m.where, m.at, len(b), m.end-m.at)
	}
	n, err := io.ReadFull(m.r, b)
	m.at += int64(n)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s %d: the file ends where %d bytes more are wanted; it is cut off", m.where, m.at, len(b)-n)
		}
		return fmt.Errorf("%s %d: %w", m.where, m.at, err)
	}
	return nil
}

// skip passes over n bytes.
func (m *matReader) skip(n int64) error {
	if n < 0 || n > m.end-m.at {
		return fmt.Errorf("%s %d: an element of %d bytes in one that has %d left", m.where, m.at, n, m.end-m.at)
	}
	got, err := io.CopyN(io.Discard, m.r, n)
	m.at += got
	if err != nil {
		return fmt.Errorf("%s %d: the file ends where %d bytes more are wanted; it is cut off", m.where, m.at, n-got)
	}
	return nil
}

// tag reads the type and the size of an element. A small one lies in its own tag: small has its bytes.
func (m *matReader) tag() (kind uint32, size int64, small []byte, err error) {
	var b [8]byte
	if err := m.full(b[:]); err != nil {
		return 0, 0, nil, err
	}
	first := m.order.Uint32(b[:4])
	if n := first >> 16; n != 0 {
		if n > 4 {
			return 0, 0, nil, fmt.Errorf("%s %d: a small element of %d bytes; want at most 4", m.where, m.at-8, n)
		}
		return first & 0xffff, int64(n), b[4 : 4+n], nil
	}
	return first, int64(m.order.Uint32(b[4:])), nil, nil
}

// variable reads a top element; nil: it is no real numeric array.
func (m *matReader) variable(left *int) (*Array, error) {
	start := m.at
	kind, size, small, err := m.tag()
	if err != nil || small != nil {
		return nil, err
	}
	switch kind {
	case miMatrix:
		m.end = m.at + size
		defer func() { m.end = math.MaxInt64 }()
		a, err := m.matrix(left)
		if err != nil {
			return nil, err
		}
		return a, m.skip(m.end - m.at)
	case miCompressed:
		packed := &io.LimitedReader{R: m.r, N: size}
		z, err := zlib.NewReader(packed)
		if err != nil {
			return nil, fmt.Errorf("%s %d: compressed element: %w", m.where, start, err)
		}
		in := &matReader{r: bufio.NewReaderSize(z, 1<<16), order: m.order, where: fmt.Sprintf("element at byte %d, uncompressed byte", start), end: math.MaxInt64}
		var a *Array
		kind, size, small, err := in.tag()
		if err == nil && small == nil && kind == miMatrix {
			in.end = in.at + size
			a, err = in.matrix(left)
		}
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, packed); err != nil { // what follows the array's values is not wanted: it is not unpacked
			return nil, err
		}
		if unread := packed.N; unread > 0 {
			return nil, fmt.Errorf("%s %d: the file ends where %d bytes more are wanted; it is cut off", m.where, start+8+size-unread, unread)
		}
		m.at = start + 8 + size
		return a, nil
	}
	return nil, m.skip(size + -size&7)
}

// matrix reads an array up to its last real value.
func (m *matReader) matrix(left *int) (*Array, error) {
	start := m.at
	if m.end == m.at { // an empty element stands for an array without values
		return nil, nil
	}
	flags, err := m.bytes(miUint32, 8)
	if err != nil {
		return nil, err
	}
	if len(flags) != 8 {
		return nil, fmt.Errorf("%s %d: the flags of an array have %d bytes; want 8", m.where, start, len(flags))
	}
	word := m.order.Uint32(flags)
	class := word & 0xff
	dims, err := m.bytes(miInt32, 4*32)
	if err != nil {
		return nil, err
	}
	name, err := m.bytes(miInt8, 1<<10)
	if err != nil {
		return nil, err
	}
	a := &Array{Name: string(name)}
	if class < classDouble || class > classUint64 || word>>8&complexFlag != 0 {
		return nil, nil
	}
	n := 1
	for i := 0; i+4 <= len(dims); i += 4 {
		d := int(int32(m.order.Uint32(dims[i:])))
		if d < 0 || d > 0 && n > *left/d {
			return nil, fmt.Errorf("%s %d: array %q: dimension %d is %d; want arrays of at most %d values in all", m.where, start, a.Name, i/4+1, d, maxValues)
		}
		n *= d
		a.Dims = append(a.Dims, d)
	}
	*left -= n
	kind, size, small, err := m.tag()
	if err != nil {
		return nil, err
	}
	width := sizes[kind]
	if width == 0 || size != int64(n)*int64(width) {
		return nil, fmt.Errorf("%s %d: array %q: %v are %d values, and %d bytes of type %d follow", m.where, m.at, a.Name, a.Dims, n, size, kind)
	}
	if small != nil {
		a.Data = decode(a.Data, small, kind, m.order)
		return a, nil
	}
	// Memory is taken as values come, so that a claim alone costs nothing.
	chunk := make([]byte, min(size, 1<<16))
	for done := int64(0); done < size; {
		part := chunk[:min(int64(len(chunk)), size-done)]
		if err := m.full(part); err != nil {
			return nil, fmt.Errorf("array %q, after %d of %d values: %w", a.Name, len(a.Data), n, err)
		}
		a.Data = decode(a.Data, part, kind, m.order)
		done += int64(len(part))
	}
	return a, nil
}

// bytes reads a short element of a type, padded to 8 bytes.
func (m *matReader) bytes(want uint32, most int64) ([]byte, error) {
	at := m.at
	kind, size, small, err := m.tag()
	if err != nil {
		return nil, err
	}
	if kind != want && !(want == miInt8 && kind == miUint8) || size > most {
		return nil, fmt.Errorf("%s %d: element of type %d and %d bytes; want type %d and at most %d", m.where, at, kind, size, want, most)
	}
	if small != nil || size == 0 {
		return small, nil
	}
	b := make([]byte, size)
	if err := m.full(b); err != nil {
		return nil, err
	}
	return b, m.skip(-size & 7)
}

// decode appends the values of bytes.
func decode(dst []float64, b []byte, kind uint32, order binary.ByteOrder) []float64 {
	for w := sizes[kind]; len(b) >= w; b = b[w:] {
		var v float64
		switch kind {
		case miInt8:
			v = float64(int8(b[0]))
		case miUint8:
			v = float64(b[0])
		case miInt16:
			v = float64(int16(order.Uint16(b)))
		case miUint16:
			v = float64(order.Uint16(b))
		case miInt32:
			v = float64(int32(order.Uint32(b)))
		case miUint32:
			v = float64(order.Uint32(b))
		case miSingle:
			v = float64(math.Float32frombits(order.Uint32(b)))
		case miDouble:
			v = math.Float64frombits(order.Uint64(b))
		case miInt64:
			v = float64(int64(order.Uint64(b)))
		case miUint64:
			v = float64(order.Uint64(b))
		}
		dst = append(dst, v)
	}
	return dst
}
