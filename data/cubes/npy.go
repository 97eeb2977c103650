package cubes

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// npyTypes are numpy's names of what is read, without the byte order.
var npyTypes = map[string]uint32{
	"i1": miInt8, "u1": miUint8, "b1": miUint8, "i2": miInt16, "u2": miUint16, "i4": miInt32, "u4": miUint32,
	"f4": miSingle, "f8": miDouble, "i8": miInt64, "u8": miUint64,
}

var (
	npyDescr   = regexp.MustCompile(`'descr'\s*:\s*'([<>|=])([a-z][0-9]+)'`)
	npyFortran = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape'\s*:\s*\(([0-9, ]*)\)`)
)

// readNPY reads an array of numpy: rows by columns by bands, or rows by columns, which is one band.
func readNPY(r io.Reader) (*Cube, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:6]) != "\x93NUMPY" {
		return nil, fmt.Errorf("%w: the first bytes are %q; want an array of numpy", ErrFile, head[:6])
	}
	size := make([]byte, 2)
	if head[6] > 1 {
		size = make([]byte, 4)
	}
	if _, err := io.ReadFull(in, size); err != nil {
		return nil, fmt.Errorf("%w: npy: the file ends in its header", ErrFile)
	}
	n := int(binary.LittleEndian.Uint16(size))
	if len(size) == 4 {
		n = int(min(binary.LittleEndian.Uint32(size), 1<<16))
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return nil, fmt.Errorf("%w: npy: the file ends in its header of %d bytes", ErrFile, n)
	}
	descr, fortran, shape := npyDescr.FindSubmatch(text), npyFortran.FindSubmatch(text), npyShape.FindSubmatch(text)
	if descr == nil || fortran == nil || shape == nil {
		return nil, fmt.Errorf("%w: npy: the header is %q; want descr, fortran_order and shape of numbers", ErrFile, text)
	}
	kind, ok := npyTypes[string(descr[2])]
	if !ok {
		return nil, fmt.Errorf("%w: npy: type %q; want integers, floats of 4 or 8 bytes, or booleans", ErrFile, descr[2])
	}
	var dims []int
	total := 1
	for _, word := range strings.Split(string(shape[1]), ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		d, err := strconv.Atoi(word)
		if err != nil || d < 1 || d > maxValues/total {
			return nil, fmt.Errorf("%w: npy: shape (%s); want 1 to %d values", ErrFile, shape[1], maxValues)
		}
		dims, total = append(dims, d), total*d
	}
	if len(dims) == 2 {
		dims = append(dims, 1)
	}
	if len(dims) != 3 {
		return nil, fmt.Errorf("%w: npy: shape (%s); want rows, columns and bands", ErrFile, shape[1])
	}
	var order binary.ByteOrder = binary.LittleEndian
	if descr[1][0] == '>' {
		order = binary.BigEndian
	}
	values, err := readValues(in, total, kind, order)
	if err != nil {
		return nil, fmt.Errorf("%w: npy: shape (%s): %w", ErrFile, shape[1], err)
	}
	if string(fortran[1]) == "True" {
		return (&Array{Dims: dims, Data: values}).cube(), nil
	}
	return &Cube{Height: dims[0], Width: dims[1], Bands: dims[2], Data: values}, nil
}

// readValues reads n values and takes memory as they come.
func readValues(r io.Reader, n int, kind uint32, order binary.ByteOrder) ([]float64, error) {
	width := sizes[kind]
	chunk := make([]byte, min(n*width, 1<<16))
	var values []float64
	for len(values) < n {
		part := chunk[:min(len(chunk), (n-len(values))*width)]
		got, err := io.ReadFull(r, part)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, fmt.Errorf("the file ends %d bytes after the start of its values, where %d are wanted; it is cut off", len(values)*width+got, n*width)
			}
			return nil, err
		}
		values = decode(values, part, kind, order)
	}
	return values, nil
}

// WriteNPY writes the cube as an array of numpy of float32: rows, columns, bands.
func WriteNPY(w io.Writer, c *Cube) error {
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d), }", c.Height, c.Width, c.Bands)
	const prefix = 10 // magic, version, length
	n := (prefix+len(dict)+1+63)/64*64 - prefix
	out := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(out, "\x93NUMPY\x01\x00%c%c", n&0xff, n>>8)
	out.WriteString(dict + strings.Repeat(" ", n-len(dict)-1) + "\n")
	var b [4]byte
	for _, v := range c.Data {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(float32(v)))
		out.Write(b[:])
	}
	return out.Flush()
}
