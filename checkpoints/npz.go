package checkpoints

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// npyHeader returns the header of an npy file, version 1.0, as numpy writes it: padded so that the data begins at a
// multiple of 64 bytes.
func npyHeader(dt dtype, shape []int) []byte {
	dims := make([]string, len(shape))
	for i, dim := range shape {
		dims[i] = strconv.Itoa(dim)
	}
	tuple := strings.Join(dims, ", ")
	if len(shape) == 1 {
		tuple += ","
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", dt.descr, tuple)
	const prefix = 10 // magic, version, length
	padded := (prefix + len(dict) + 1 + 63) / 64 * 64
	n := padded - prefix
	var b bytes.Buffer
	b.WriteString("\x93NUMPY")
	b.Write([]byte{1, 0, byte(n), byte(n >> 8)})
	b.WriteString(dict)
	b.WriteString(strings.Repeat(" ", n-len(dict)-1))
	b.WriteByte('\n')
	return b.Bytes()
}

// maxHeader is more than any header takes: maxDims numbers of at most 20 digits.
const maxHeader = 4 << 10

// chunk is the size of the buffer that data is streamed through.
const chunk = 256 << 10

// zipTime stands in every entry, so that equal arrays give equal bytes; it is the first one a zip file can hold.
var zipTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// writeNpz writes arrays as an uncompressed npz file, in their order, and returns their entries for the manifest.
func writeNpz(w io.Writer, arrays []Array) ([]Entry, error) {
	buf := make([]byte, chunk)
	archive := zip.NewWriter(w)
	entries := make([]Entry, 0, len(arrays))
	for _, a := range arrays {
		dt, n, _ := typeOf(a.Data)
		file, err := archive.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store, Modified: zipTime})
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		both := io.MultiWriter(sum, file)
		header := npyHeader(dt, a.Shape)
		if _, err := both.Write(header); err != nil {
			return nil, err
		}
		if err := writeData(both, a.Data, buf); err != nil {
			return nil, err
		}
		entries = append(entries, Entry{
			Name: a.Name, Shape: append([]int{}, a.Shape...), DType: dt.name,
			Size: int64(len(header)) + int64(n)*int64(dt.size), SHA256: hex.EncodeToString(sum.Sum(nil)),
		})
	}
	return entries, archive.Close()
}

// openNpz reads the directory of an npz file and holds it against the manifest: the same entries in the same order,
// stored, of the same sizes.
func openNpz(r io.ReaderAt, size int64, entries []Entry) (*zip.Reader, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("is not a zip file: %w", err)
	}
	if len(archive.File) != len(entries) {
		return nil, fmt.Errorf("has %d entries; manifest says %d", len(archive.File), len(entries))
	}
	for i, f := range archive.File {
		e := entries[i]
		switch {
		case f.Name != e.Name+".npy":
			return nil, fmt.Errorf("entry %d is %q; manifest says %q", i, f.Name, e.Name+".npy")
		case f.Method != zip.Store:
			return nil, fmt.Errorf("entry %q is compressed by method %d; want stored", e.Name, f.Method)
		case f.UncompressedSize64 != uint64(e.Size) || f.CompressedSize64 != uint64(e.Size):
			return nil, fmt.Errorf("entry %q has %d bytes; manifest says %d", e.Name, f.UncompressedSize64, e.Size)
		}
	}
	return archive, nil
}

// readEntry reads one array of an npz file whose SHA-256 is verified into data, which has the entry's element type and
// number of elements, through buf. The header must be the very bytes that the manifest's shape and type call for.
func readEntry(f *zip.File, e Entry, data any, buf []byte) error {
	rc, err := f.Open()
	if err != nil {
		return err
	}
	defer rc.Close()
	r := bufio.NewReaderSize(rc, maxHeader)
	dt, _ := dtypeNamed(e.DType)
	want := npyHeader(dt, e.Shape)
	if got, _ := r.Peek(len(want)); !bytes.Equal(got, want) {
		return fmt.Errorf("header is %q; want %q", got, want)
	}
	if _, err := r.Discard(len(want)); err != nil {
		return err
	}
	if err := readData(r, data, buf); err != nil {
		return err
	}
	// Reading on to the end makes package zip compare its checksum, which catches a file that changed since it was
	// verified.
	n, err := io.Copy(io.Discard, r)
	if err == nil && n != 0 {
		err = fmt.Errorf("%d bytes after the last element", n)
	}
	return err
}

// WriteNpz writes arrays as an npz file that stands alone, atomically, as numpy reads it.
func WriteNpz(path string, arrays []Array) error {
	for _, a := range arrays {
		if _, err := checkArray(a); err != nil {
			return failf(err, "%s: %s", path, err)
		}
	}
	return StreamFileAtomic(path, func(w io.Writer) error {
		_, err := writeNpz(w, arrays)
		return err
	})
}
